package hub

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/eligen/eligen/internal/words"
)

// An AccessError says that a hub gives a repository's files to certain people only.
type AccessError struct {
	Repo    Repo
	Page    string // where its licence is accepted
	Gated   bool   // by a licence; else the repository may also be private, or not exist
	Token   bool   // a token was sent
	From    string // where the token is from, or would be
	Message string // the hub's own
}

func (e *AccessError) Error() string {
	var b strings.Builder
	tokens, variable := e.Repo.Source.words().tokens, e.Repo.Source.words().token
	switch {
	case e.Gated && e.Token:
		fmt.Fprintf(&b, "%s is gated, and the account of the token in %s has no access. Accept the licence at\n\n  %s\n\n"+
			"with that account, and let the token read gated repositories (%s). Then run the same command again",
			e.Repo, e.From, e.Page, tokens)
	case e.Gated:
		fmt.Fprintf(&b, "%s is gated: it is for people who have accepted its licence. Accept it at\n\n  %s\n\n"+
			"make a token that may read at %s, and put it in the variable %s or the file %s. Then run the same command again",
			e.Repo, e.Page, tokens, variable, e.From)
	case e.Token:
		fmt.Fprintf(&b, "there is no repository %s, or the token in %s has no access to it. Compare its name with its page, %s, and "+
			"the token with %s", e.Repo, e.From, e.Page, tokens)
	default:
		fmt.Fprintf(&b, "there is no repository %s that is open to everybody. Compare its name with its page, %s. If it is private, or "+
			"gated by a licence, make a token at %s and put it in the variable %s", e.Repo, e.Page, tokens, variable)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ".\nThe hub says: %s", e.Message)
	}
	return b.String()
}

// A NotFoundError says that a hub has no such revision or file.
type NotFoundError struct {
	Repo     Repo
	Revision string
	Files    []string // that are missing; none: the revision is
	Near     []string // files of similar names
}

func (e *NotFoundError) Error() string {
	if len(e.Files) == 0 {
		return fmt.Sprintf("%s has no revision %q: give a branch, a tag or a commit of it", e.Repo, e.Revision)
	}
	s := fmt.Sprintf("%s has no file %s at revision %s", e.Repo, strings.Join(e.Files, ", "), e.Revision)
	if len(e.Near) > 0 {
		s += ". It has " + strings.Join(e.Near, ", ")
	}
	return s
}

// An OfflineError says which files are missing where no request may be sent.
type OfflineError struct {
	Repo     Repo
	Revision string
	Missing  []File // with sizes where they are known; none: the cache knows nothing of the revision
	Command  string // fetches them
}

func (e *OfflineError) Error() string {
	var b strings.Builder
	if len(e.Missing) == 0 {
		fmt.Fprintf(&b, "%s at revision %s isn't in the cache.\n", e.Repo, e.Revision)
	} else {
		var total int64
		for _, f := range e.Missing {
			total += f.Size
		}
		files := fmt.Sprintf("%d files", len(e.Missing))
		if len(e.Missing) == 1 {
			files = "a file"
		}
		fmt.Fprintf(&b, "the cache lacks %s of %s, %s:\n", files, e.Repo, words.Bytes(total))
		for _, f := range e.Missing[:min(len(e.Missing), 20)] {
			fmt.Fprintf(&b, "\n  %s  %s", f.Name, words.Bytes(f.Size))
		}
		if more := len(e.Missing) - 20; more > 0 {
			fmt.Fprintf(&b, "\n  and %d more", more)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\nHF_HUB_OFFLINE forbids requests. With a connection, run\n\n  HF_HUB_OFFLINE=0 %s", e.Command)
	return b.String()
}

// A SpaceError says that a disk has too little room for what is to be fetched.
type SpaceError struct {
	Source     Source
	Folder     string
	Need, Free int64 // bytes
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("%s has %s free, and %s are missing: free %s, or choose another folder with %s or --to",
		e.Folder, words.Bytes(e.Free), words.Bytes(e.Need), words.Bytes(e.Need-e.Free), e.Source.words().cache)
}

// A DigestError says that a file's content is not the hub's. Nothing of it was kept.
type DigestError struct {
	Repo      Repo
	File      string
	Want, Got string
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s of %s arrived with the digest %s, and the hub's is %s. Nothing of it was kept: run the same command again, "+
		"and if that fails too, check the mirror or proxy between", e.File, e.Repo, e.Got, e.Want)
}

// errOffline says that a request was not sent.
var errOffline = errors.New("requests are forbidden")

// A passing error may be gone when the same is tried again.
type passing struct {
	error
	after time.Duration // that the server asks to wait; 0 where it says nothing
}

func (e *passing) Unwrap() error { return e.error }
