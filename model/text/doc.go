// Package text holds what turns a prompt into tensors: the tokenizers of T5 and
// CLIP ([T5Tokenizer], [CLIPTokenizer]) and the two encoders as graph functions
// ([T5], [CLIP]).
//
// Prompts are plain text: parentheses and numbers carry no weight.
package text
