// Package dsl reads the scene language: HCL text in, a Scene and every problem
// in it out.
//
// [Load] goes through a file in four steps, each of which can be read alone:
//
//  1. guard.go looks at the file's tokens and refuses what would exhaust the
//     parser's stack. It runs before every parse, formatting included.
//  2. parse.go makes a tree of the text. Where the text is broken it goes on
//     with the blocks that are whole, so that one typing mistake does not hide
//     the others.
//  3. eval.go gives every block and every local value a node, and evaluates
//     nodes in the order of their references. A node that failed has an unknown
//     value, which nothing complains about again.
//     A module is loaded in the same steps when its node is evaluated (module.go).
//  4. The block files (entity.go, render.go, recipe.go, variable.go, weights.go)
//     turn evaluated bodies into the root package's types.
//
// Nothing but the scene, the pictures it names and the variable files given by
// the caller is read; there is no network, no clock and no environment beyond
// [Vars].
package dsl
