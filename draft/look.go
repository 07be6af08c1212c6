package draft

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
)

// A Reply is a model's answer, and how many tokens it read and wrote, as the server counts them.
type Reply struct {
	Text    string
	In, Out int64
}

// Look asks the model about a picture, a PNG or JPEG.
func (m Model) Look(ctx context.Context, question string, picture []byte) (Reply, error) {
	service, err := m.service()
	if err != nil {
		return Reply{}, err
	}
	if m.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.Timeout)
		defer cancel()
	}
	address := "data:" + http.DetectContentType(picture) + ";base64," + base64.StdEncoding.EncodeToString(picture)
	c, err := service.New(ctx, openai.ChatCompletionNewParams{Model: m.Name, Temperature: openai.Float(0),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
			openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: address}),
			openai.TextContentPart(question),
		})}})
	if err != nil {
		return Reply{}, m.explain(ctx, err)
	}
	text, err := chosen(c)
	if err != nil {
		return Reply{}, NoAnswer{err}
	}
	return Reply{Text: strings.ToValidUTF8(text, ""), In: c.Usage.PromptTokens, Out: c.Usage.CompletionTokens}, nil
}

// NoAnswer is the error of a server that answered, and gave no text: the model refuses, or was cut off.
type NoAnswer struct{ err error }

func (e NoAnswer) Error() string { return e.err.Error() }

// Unwrap returns why.
func (e NoAnswer) Unwrap() error { return e.err }

// Busy reports whether an error means that the server should be asked again later, and after how long; -1 where the
// server doesn't say.
func Busy(err error) (after time.Duration, ok bool) {
	var s statusError
	if !errors.As(err, &s) {
		return 0, false
	}
	switch s.code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return s.after, true
	}
	return 0, false
}
