package text

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"sync"
)

// The published tokenizers; tokenizers/NOTICE.txt has their licences.
var (
	//go:embed tokenizers/t5/tokenizer.json.gz
	t5JSON []byte
	//go:embed tokenizers/clip/vocab.json.gz
	clipVocab []byte
	//go:embed tokenizers/clip/merges.txt.gz
	clipMerges []byte
	//go:embed tokenizers/qwen2/merges.txt.gz
	qwenMerges []byte
)

// EmbeddedT5 returns T5 v1.1's tokenizer, for checkpoints that bring none. It is read
// when first asked for.
func EmbeddedT5() (*T5Tokenizer, error) { return embeddedT5() }

// EmbeddedCLIP returns CLIP ViT-L/14's tokenizer, for checkpoints that bring none. It
// is read when first asked for.
func EmbeddedCLIP() (*CLIPTokenizer, error) { return embeddedCLIP() }

// EmbeddedQwen returns Qwen2's tokenizer, for checkpoints that bring none. It is read when
// first asked for.
func EmbeddedQwen() (*QwenTokenizer, error) { return embeddedQwen() }

var embeddedQwen = sync.OnceValues(func() (*QwenTokenizer, error) {
	merges, err := gunzip(qwenMerges)
	if err != nil {
		return nil, fmt.Errorf("the embedded Qwen2 merges: %w. This is a bug in eligen", err)
	}
	return NewQwenTokenizer(nil, merges, nil)
})

var embeddedT5 = sync.OnceValues(func() (*T5Tokenizer, error) {
	file, err := gunzip(t5JSON)
	if err != nil {
		return nil, fmt.Errorf("the embedded T5 tokenizer: %w. This is a bug in eligen", err)
	}
	return NewT5Tokenizer(file)
})

var embeddedCLIP = sync.OnceValues(func() (*CLIPTokenizer, error) {
	vocab, err := gunzip(clipVocab)
	if err != nil {
		return nil, fmt.Errorf("the embedded CLIP vocabulary: %w. This is a bug in eligen", err)
	}
	merges, err := gunzip(clipMerges)
	if err != nil {
		return nil, fmt.Errorf("the embedded CLIP merges: %w. This is a bug in eligen", err)
	}
	return NewCLIPTokenizer(vocab, merges)
})

func gunzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
