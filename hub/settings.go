package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen/internal/files"
)

// Settings say where the hubs are, and where files from them lie.
type Settings struct {
	Endpoint  string // Hugging Face's address, without a slash at its end
	Cache     string // its cache folder: HF_HUB_CACHE
	Token     string // its access token; "" for none
	TokenFrom string // where the token is from, or would be: a variable or a file
	Offline   bool   // send no request
	NoLinks   bool   // the cache's snapshots hold files, and not links to blobs

	ModelScopeEndpoint string
	ModelScopeCache    string // the folder that holds the folder models
	ModelScopeToken    string
}

// SettingsFrom reads settings from the environment, as huggingface_hub and modelscope read it, and the
// token from its file. env returns "" for a variable that isn't set.
func SettingsFrom(env func(string) string) (Settings, error) {
	home := env("HOME")
	if home == "" {
		home = env("USERPROFILE")
	}
	at := func(p string) string {
		if p = expand(p, home, env); filepath.IsAbs(p) || home != "" {
			return p
		}
		return "" // below a home folder that nobody knows
	}
	caches := first(env("XDG_CACHE_HOME"), filepath.Join(home, ".cache"))
	hf := at(first(env("HF_HOME"), filepath.Join(caches, "huggingface")))
	s := Settings{
		Endpoint: strings.TrimRight(first(env("HF_ENDPOINT"), "https://huggingface.co"), "/"),
		Cache:    at(first(env("HF_HUB_CACHE"), env("HUGGINGFACE_HUB_CACHE"), filepath.Join(hf, "hub"))),
		NoLinks:  on(env("HF_HUB_DISABLE_SYMLINKS")),
		Offline:  on(env("HF_HUB_OFFLINE")) || on(env("TRANSFORMERS_OFFLINE")),
	}
	s.ModelScopeEndpoint, s.ModelScopeCache, s.ModelScopeToken = modelScopeFrom(env, home, at)
	for _, source := range []Source{HuggingFace, ModelScope} {
		value := s.endpoint(source)
		if u, err := url.Parse(value); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return s, fmt.Errorf("%s: %q is no address of a hub, such as %s", source.words().endpoint, value, source.words().address)
		}
	}
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if t := clean(env(name)); t != "" {
			s.Token, s.TokenFrom = t, name
			return s, nil
		}
	}
	s.TokenFrom = at(first(env("HF_TOKEN_PATH"), filepath.Join(hf, "token")))
	if on(env("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		return s, nil
	}
	data, err := files.Read(s.TokenFrom, 1<<16)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("the access token can't be read: %w", err)
	}
	s.Token = clean(string(data))
	return s, nil
}

// first returns the first string that isn't empty.
func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// expand replaces a leading ~ and variables, as a shell does.
func expand(p, home string, env func(string) string) string {
	if p == "~" || strings.HasPrefix(p, "~/") || strings.HasPrefix(p, `~\`) {
		p = home + p[1:]
	}
	return os.Expand(p, func(name string) string {
		if v := env(name); v != "" {
			return v
		}
		return "$" + name
	})
}

func on(s string) bool {
	switch strings.ToUpper(s) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// clean returns a token without the line ends that copying adds.
func clean(token string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(token))
}
