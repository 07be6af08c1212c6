// Package eligen is the dictionary of the project: a scene file is read into a
// [Scene], a Scene is planned into a [Plan], a Plan is applied stage by stage,
// and everything that happens is an [Event].
//
// It imports only the standard library. Every other folder imports it, no
// folder imports a sibling, and only cmd imports them all.
package eligen

// Version is the release this source belongs to. It is part of every engine's ID.
const Version = "0.1.0"
