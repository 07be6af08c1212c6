package eligen

import (
	"net/url"
	"path"
	"regexp"
	"strings"
)

// A Repo is weights in a repository that is published on a hub, as a scene's source names
// them: owner/name, and more of it where a scene says more.
type Repo struct {
	Hub      string // "" is Hugging Face; "modelscope"
	ID       string // "black-forest-labs/FLUX.1-dev"
	Revision string // a branch, a tag or a commit; "" is the hub's usual one
	File     string // one file of it, slash-separated; "" is all that a model needs
}

// Hubs are the words that begin a source on another hub than Hugging Face.
var Hubs = []string{"modelscope"}

// ComfyUI begins a source that is a file in ComfyUI's folders: "comfyui:flux1-dev.safetensors".
const ComfyUI = "comfyui:"

var repoID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$`)

// ParseRepo reads owner/name, owner/name@revision, and either with a file's path behind it,
// after the hub's word and a colon where it isn't Hugging Face. A slash in a revision is
// written %2F. ok is false for everything else, paths included.
func ParseRepo(s string) (r Repo, ok bool) {
	for _, hub := range Hubs {
		if rest, on := strings.CutPrefix(s, hub+":"); on {
			r.Hub, s = hub, rest
		}
	}
	owner, rest, _ := strings.Cut(s, "/")
	id, file, inside := strings.Cut(rest, "/")
	id, revision, pinned := strings.Cut(id, "@")
	r.ID, r.File = owner+"/"+id, file
	if !repoID.MatchString(r.ID) || pinned && revision == "" {
		return Repo{}, false
	}
	if inside && (file == "" || path.Clean(file) != file || strings.HasPrefix(file, "../") || file == "..") {
		return Repo{}, false
	}
	var err error
	if r.Revision, err = url.PathUnescape(revision); err != nil {
		return Repo{}, false
	}
	return r, true
}

// String returns the repository as ParseRepo reads it.
func (r Repo) String() string {
	s := r.Whole()
	if r.File != "" {
		s += "/" + r.File
	}
	return s
}

// Whole returns the repository without its file, as ParseRepo reads it.
func (r Repo) Whole() string {
	s := r.ID
	if r.Hub != "" {
		s = r.Hub + ":" + s
	}
	if r.Revision != "" {
		s += "@" + url.PathEscape(r.Revision)
	}
	return s
}

var commit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// Fixed reports whether the revision names a commit, which can't move.
func (r Repo) Fixed() bool { return commit.MatchString(r.Revision) }

// The parts of a model that a scene may name by themselves, next to its source.
const (
	PartCLIP = "clip" // text encoder, of a vector
	PartT5   = "t5"   // text encoder, of states
	PartVAE  = "vae"  // autoencoder
	PartText = "text" // the text encoder of a family with one
)

// What else weights may be for, where a file is looked for by its name alone.
const (
	PartModel     = "model"      // a transformer, or a checkpoint of all parts
	PartLoRA      = "lora"       //
	PartIPAdapter = "ip-adapter" //
	PartVision    = "vision"     // the tower that image prompts are read by
)

// Sources finds weights on this machine by the sources that scenes give them.
type Sources interface {
	// Find returns the path of weights for a part. A source that is a path already comes back
	// as it is. What is not on this machine is a [*MissingWeights] error.
	Find(source, part string) (path string, err error)
	// Beside returns the folders in which a part of the model at a path may lie, apart from the
	// path's own: where programs that keep each part in a folder of its own have it.
	Beside(path, part string) []string
}

// A MissingWeights error says that weights are not on this machine.
type MissingWeights struct {
	Source  string // as the scene has it
	Message string // says what is missing and what to do
}

func (e *MissingWeights) Error() string { return e.Message }
