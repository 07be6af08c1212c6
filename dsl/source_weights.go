package dsl

import (
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

const invalidSource = "Invalid source"

// weights is the argument source, with the repository's revision and file where they are set. own
// are words for weights of the model family's own.
func (b *body) weights(own ...string) string {
	s, ok := b.weightsOf("source", own...)
	repo, published := eligen.ParseRepo(s)
	for _, name := range []string{"revision", "file"} {
		switch {
		case !b.has(name) || !ok && b.has("source"):
		case !published:
			b.errorf(b.attrs[name].NameRange, notApplicable, "%q is of a repository, and \"source\" names none: write source = \"owner/name\".",
				name)
		case name == "revision" && repo.Revision != "" || name == "file" && repo.File != "":
			b.errorf(b.place(name), conflicting, "\"source\" says the %s already. Remove one of the two.", name)
		case name == "revision":
			repo.Revision = b.revision()
		default:
			repo.File = b.fileOf()
		}
	}
	if !published {
		return s
	}
	return repo.String()
}

// revision reads a branch, a tag or a commit.
func (b *body) revision() string {
	s, ok := b.text("revision")
	if ok && (s == "" || strings.HasPrefix(s, "-") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })) {
		b.errorf(b.place("revision"), invalidSource, "%q is no revision of a repository. Name a branch, a tag or a commit.", s)
	}
	return s
}

// fileOf reads the path of a file in a repository.
func (b *body) fileOf() string {
	s, ok := b.text("file")
	if _, whole := eligen.ParseRepo("owner/name/" + s); ok && (!whole || !spelledOut(s)) {
		b.errorf(b.place("file"), invalidSource, "%q is no file of a repository. Give its path from the repository's root, such as "+
			"\"model_bf16.safetensors\".", s)
	}
	return s
}

// weightsOf is the source of a file or folder of weights. What begins with ./ or ../ is found from
// the scene's folder, an absolute path and one that begins with ~/ stay, and so does the name of a
// repository, or of a file of ComfyUI's. own are words for weights of the model family's own. A path
// comes back beginning with ".", "~/", or absolute, so that they are never confused.
func (b *body) weightsOf(name string, own ...string) (string, bool) {
	s, ok := b.text(name)
	if !ok {
		return "", false
	}
	switch {
	case !spelledOut(s):
	case slices.Contains(own, s):
		return s, true
	case filepath.IsAbs(s):
		return spelledPath(filepath.Clean(s)), true
	case strings.HasPrefix(s, "~/"):
		return "~/" + path.Clean(strings.TrimPrefix(s, "~/")), true
	case s == "." || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../"):
		p := spelledPath(filepath.Join(b.l.dir, filepath.FromSlash(s)))
		if !filepath.IsAbs(p) && p != "." && !strings.HasPrefix(p, "..") {
			p = "." + string(filepath.Separator) + p
		}
		return p, true
	case strings.HasPrefix(s, eligen.ComfyUI):
		return s, b.comfy(name, strings.TrimPrefix(s, eligen.ComfyUI))
	case strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://"):
		b.errorf(b.place(name), invalidSource, "%q is a page. %s", s, asRepo(s))
		return "", false
	}
	repo, published := eligen.ParseRepo(s)
	if published && (repo.File != "" || repo.Revision != "" || !weightsName(s)) {
		return repo.String(), true
	}
	if published {
		b.errorf(b.place(name), invalidSource, "%q would be a repository, owner/name, and ends like a file. Begin a path with ./ (from the "+
			"scene's folder), / or ~/.", s)
		return "", false
	}
	b.errorf(b.place(name), invalidSource,
		"%q is neither a path nor a repository. Begin a path with ./ (from the scene's folder), / or ~/; a repository is owner/name, and a "+
			"file in ComfyUI's folders comfyui:NAME.", s)
	return "", false
}

// comfy checks the name of a file in ComfyUI's folders.
func (b *body) comfy(name, file string) bool {
	if file != "" && path.Clean(file) == file && !path.IsAbs(file) && !strings.HasPrefix(file, "..") {
		return true
	}
	b.errorf(b.place(name), invalidSource, "%q is no file's name. Write it as ComfyUI lists it, such as "+
		"\"comfyui:flux1-dev-fp8.safetensors\".", file)
	return false
}

// asRepo says how a scene names the repository of a page.
func asRepo(page string) string {
	u, err := url.Parse(page)
	if err != nil {
		return ""
	}
	hub := ""
	at := strings.Split(strings.Trim(u.Path, "/"), "/")
	if strings.HasSuffix(u.Hostname(), "modelscope.cn") || strings.HasSuffix(u.Hostname(), "modelscope.ai") {
		hub = "modelscope:"
		if len(at) > 0 && at[0] == "models" {
			at = at[1:]
		}
	}
	if len(at) < 2 {
		return "Name the repository: source = \"owner/name\"."
	}
	repo := hub + at[0] + "/" + at[1]
	if _, ok := eligen.ParseRepo(repo); !ok {
		return "Name the repository: source = \"owner/name\"."
	}
	out := "Name the repository:\n\n    source = \"" + repo + "\""
	if len(at) > 4 && slices.Contains([]string{"blob", "resolve"}, at[2]) {
		if at[3] != "main" {
			out += "\n    revision = \"" + at[3] + "\""
		}
		out += "\n    file = \"" + strings.Join(at[4:], "/") + "\""
	}
	return out
}

// spelledOut reports whether a source has no control characters, which no path of weights has.
func spelledOut(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// weightsName reports whether a name ends as files of weights do.
func weightsName(s string) bool {
	return slices.Contains([]string{".safetensors", ".sft", ".gguf", ".bin", ".pt", ".pth", ".ckpt"}, strings.ToLower(path.Ext(s)))
}
