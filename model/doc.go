// Package model is a folder of packages: everything that knows GoMLX, weights and model
// families. It holds no code of its own, but the tests that compare all of it with
// fixtures of reference code.
//
// From the ground up:
//
//   - cache, names, panics, sizes, tile, torch: remembered digests, names of tensors, the
//     boundary of panics, bounds of sizes, blending of tiles, PyTorch's archives
//   - nn, lora: layers, low-rank updates
//   - flux, text, vae, vision: networks as graph functions; weights: checkpoints as users have
//     them; backend: what graphs run on; exec: compiles and runs them
//   - detect: sizes of networks, by a checkpoint's shapes; encode: prompts, pictures and
//     latents; sample: denoising
//   - family: what a family of models gives the engine; fluxmodel: FLUX.1's architecture as
//     such a family runs it
//   - family/flux, family/nano: a folder a family; families: the list of them
//   - engine: implements eligen.Engine; paint: does so without weights; inspect: reports on a
//     file of weights
package model
