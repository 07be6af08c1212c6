package eligen

// A Lock is what eligen.lock.hcl holds: for each recorded render of the scenes in
// its folder, what made its picture, and what the picture was; and which revisions of
// repositories the scenes use.
type Lock struct {
	Renders []LockedRender // by scene, then address
	Weights []LockedRepo   // by repository
}

// LockName is the name of a lock's file, in the scene's folder.
const LockName = "eligen.lock.hcl"

// DefaultPSNR is how like its record a picture must be, in dB, where another
// engine renders it: engines round differently, and a picture in which one edge has
// moved is below.
const DefaultPSNR = 30

// A LockedRender is the record of one render.
type LockedRender struct {
	Scene   string // the scene file's name
	Address string // "render.poster"
	Plan    Digest // of the decoded picture's recipe, engine and weights included
	Engine  string // engine ID
	Pixels  Digest // of the picture's size and colours, whatever the file's compression
	PSNR    float64
	Weights []LockedWeights
	Tiles   *Tiling // that the picture was decoded in; nil is whole. A scene that leaves it open is verified so
	// Resolved is the render with nothing left open, in words: "prompt", "steps",
	// "entity.dog.region". It tells people what has changed since, and decides nothing.
	Resolved map[string]string
	// Files are what was written beside the scene when it was recorded, as paths from its
	// folder with slashes. Records of before 0.2 name none.
	Files  []string
	Source Source
}

// LockedWeights are the weights of one part of a model, or of an adapter.
type LockedWeights struct {
	Part   string // "text", "transformer", "autoencoder", "adapter"
	Digest Digest
}

// A LockedRepo pins a repository: the revision that the scenes of a folder use, and what its files are.
type LockedRepo struct {
	Repo     string // as scenes call it, a [Repo] without a file
	Revision string // commit
	Files    []LockedFile
	Source   Source
}

// A LockedFile is a file of a repository.
type LockedFile struct {
	Name   string // from the repository's root, with slashes
	SHA256 Digest
	Size   int64
	Source Source
}

// Pin returns what is pinned of a repository, or nil.
func (l *Lock) Pin(repo string) *LockedRepo {
	for i := range l.Weights {
		if l.Weights[i].Repo == repo {
			return &l.Weights[i]
		}
	}
	return nil
}

// Find returns the record of a render, or nil.
func (l *Lock) Find(scene, address string) *LockedRender {
	for i := range l.Renders {
		if l.Renders[i].Scene == scene && l.Renders[i].Address == address {
			return &l.Renders[i]
		}
	}
	return nil
}
