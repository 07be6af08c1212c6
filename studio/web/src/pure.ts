// What tests call.
export * from './geometry';
export * from './text';
export * from './complete';
export * from './time';
