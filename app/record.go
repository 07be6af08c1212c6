package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// A Record is what a file says of how it was made: one of Still, Clip and Sheet.
type Record struct {
	Still *still.Resolved
	Clip  *clip.Resolved
	First *still.Resolved // the clip's first frame; nil where it says nothing of it
	Sheet *still.Shown    // of several renders; of a clip's sheet, Clip is set
	// Changed says that the file was changed after eligen wrote it, so that its record may be wrong.
	Changed bool
}

// Value returns what the file says, as it stands there, to be written as JSON.
func (r Record) Value() any {
	switch {
	case r.Sheet != nil:
		return *r.Sheet
	case r.Clip != nil:
		return *r.Clip
	}
	return *r.Still
}

// RecordOf reads what a picture or a clip says of how it was made. name is for messages.
func RecordOf(f io.ReadSeeker, name string) (Record, error) {
	r, err := readRecord(f)
	if err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	if err := r.readClip(); err != nil {
		return r, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return r, err
	}
	r.Changed = !Untouched(f)
	return r, nil
}

func readRecord(f io.ReadSeeker) (r Record, err error) {
	moving, err := clip.Metadata(f)
	if !errors.Is(err, clip.ErrNotClip) {
		r.Clip = &moving
		return r, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return r, err
	}
	made, err := still.Metadata(f)
	if !errors.Is(err, still.ErrNoMetadata) {
		r.Still = &made
		return r, err
	}
	if _, seek := f.Seek(0, io.SeekStart); seek != nil {
		return r, seek
	}
	if sheet, wrong := still.SheetOf(f); wrong == nil {
		r.Sheet = &sheet
		return r, nil
	}
	return r, err
}

// readClip reads what is said of a clip: by its sheet, and of its first frame.
func (r *Record) readClip() error {
	if r.Sheet != nil && r.Sheet.Clip != nil {
		r.Clip = &clip.Resolved{}
		if err := json.Unmarshal(r.Sheet.Clip, r.Clip); err != nil || r.Clip.Format != 1 {
			return errors.New("what the sheet says of its clip can't be read")
		}
	}
	if r.Clip == nil || r.Clip.First == nil {
		return nil
	}
	r.First = &still.Resolved{}
	if err := json.Unmarshal(r.Clip.First, r.First); err != nil || r.First.Format != 1 {
		return errors.New("what the clip says of its first frame can't be read")
	}
	return nil
}
