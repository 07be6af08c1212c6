// What tests call.
export * from './geometry';
export * from './text';
export * from './time';
