// Package dataset makes entity-annotated pictures: the training and evaluation
// data of the embedded model, in the form that EliGen trains on (a picture, its
// caption, and for every entity a local prompt and a region).
//
// A picture is composed: a background, one to four objects cut out of
// Microsoft's Fluent emoji, contact shadows, and a caption from a small grammar.
// Composition is integer arithmetic from a counter-based random stream, so
// sample i is the same bytes on every machine, and any sample can be made
// without making those before it.
//
//	sprites, err := dataset.Open(folder)
//	composer, err := sprites.Composer(dataset.Options{Classes: 20, Size: eligen.Size{W: 128, H: 128}})
//	sample, err := composer.Sample(42)
//
// Write and Read keep samples on disk in the format of the reference trainer.
package dataset
