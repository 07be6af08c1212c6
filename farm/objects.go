package farm

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/sha"
	"github.com/eligen/eligen/runtime"
)

// A Store keeps results in the queue, as objects of JetStream under their keys, which NATS's own tools can
// list. It is for farms without a cache: two commands are enough then. It has no leases, partial results or
// journals.
type Store struct {
	bucket  string
	js      jetstream.JetStream // for uploads
	objects jetstream.ObjectStore
	stream  jetstream.Stream
	damaged damages
}

var _ runtime.Store = (*Store)(nil)

// chunk is how many bytes of a result a message holds, and chunks how many of them are on their way to the
// server at the same time.
const (
	chunk  = 256 << 10
	chunks = 8
)

// Store returns the queue's own store of results.
func (q *Queue) Store(ctx context.Context) (*Store, error) { return q.objects(ctx, results) }

// objects returns the store in a bucket.
func (q *Queue) objects(ctx context.Context, bucket string) (*Store, error) {
	s := &Store{bucket: bucket}
	var err error
	s.js, err = jetstream.New(q.conn, jetstream.WithDefaultTimeout(10*time.Second), jetstream.WithPublishAsyncMaxPending(2*chunks))
	if err == nil {
		s.objects, err = q.js.ObjectStore(ctx, bucket)
	}
	if err == nil {
		s.stream, err = q.js.Stream(ctx, "OBJ_"+bucket)
	}
	if err != nil {
		return nil, fmt.Errorf("the queue's store: %w", err)
	}
	return s, nil
}

// Stat describes a result by what the queue says of the object.
func (s *Store) Stat(ctx context.Context, key eligen.Digest) (runtime.Info, error) {
	if !runtime.IsKey(key) {
		return runtime.Info{}, fs.ErrNotExist
	}
	info, err := s.objects.GetInfo(ctx, string(key))
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return runtime.Info{}, fs.ErrNotExist
	}
	if err != nil {
		return runtime.Info{}, fmt.Errorf("the queue's store: %w", err)
	}
	return described(key, info)
}

// described returns what an object is as a result.
func described(key eligen.Digest, info *jetstream.ObjectInfo) (runtime.Info, error) {
	sum, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(info.Digest, "SHA-256="))
	if err != nil || len(sum) != 32 || info.Size > runtime.MaxResult || info.Opts != nil && info.Opts.Link != nil {
		return runtime.Info{}, fmt.Errorf("the object %s in the queue is not what eligen wrote: %w", key.Short(), runtime.ErrCorrupt)
	}
	return runtime.Info{Key: key, Content: eligen.Digest(hex.EncodeToString(sum)), Size: int64(info.Size)}, nil
}

// Open opens a result.
func (s *Store) Open(ctx context.Context, key eligen.Digest) (runtime.Reader, error) {
	if !runtime.IsKey(key) {
		return nil, fs.ErrNotExist
	}
	object, err := s.objects.GetInfo(ctx, string(key))
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("the queue's store: %w", err)
	}
	info, err := described(key, object)
	if err != nil {
		s.damaged.note(key, true)
		return nil, err
	}
	from := &body{ctx: ctx, stream: s.stream, subject: s.chunkSubject(object.NUID)}
	return runtime.Verified(from, info, func(err error) error {
		s.damaged.note(key, true)
		return fmt.Errorf("the queue's copy of %s is made again: %w", key.Short(), err)
	}), nil
}

func (s *Store) chunkSubject(nuid string) string { return "$O." + s.bucket + ".C." + nuid }

// body reads an object's chunks one after the other, by asking for each: where one is missing, the server says
// so at once, and a consumer of the library's would wait for it.
type body struct {
	ctx     context.Context
	stream  jetstream.Stream
	subject string
	next    uint64 // the least sequence number of the next chunk
	data    []byte
	end     bool
}

func (b *body) Read(p []byte) (int, error) {
	for len(b.data) == 0 {
		if b.end {
			return 0, io.EOF
		}
		m, err := b.stream.GetMsg(b.ctx, b.next, jetstream.WithGetMsgSubject(b.subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			b.end = true
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("the queue's store: %w", err)
		}
		b.data, b.next = m.Data, m.Sequence+1
	}
	n := copy(p, b.data)
	b.data = b.data[n:]
	return n, nil
}

func (b *body) Close() error { return nil }

// errTaken says that somebody else has put the object meanwhile.
var errTaken = errors.New("another one has put it")

// put uploads an object. It appears with its description, which comes last, and only where nobody has changed
// it since.
func (s *Store) put(ctx context.Context, info runtime.Info, content io.Reader, replace bool) error {
	subject := "$O." + s.bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(info.Key))
	seq, old := uint64(0), ""
	last, err := s.stream.GetLastMsgForSubject(ctx, subject)
	switch {
	case err == nil:
		var object jetstream.ObjectInfo
		_ = json.Unmarshal(last.Data, &object) // what is no description has no chunks
		if !replace && object.NUID != "" && !object.Deleted {
			return errTaken // since somebody has looked
		}
		seq, old = last.Sequence, object.NUID
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		return err
	}
	id := nuid.Next()
	n, err := s.upload(ctx, s.chunkSubject(id), content)
	if err != nil {
		s.purge(ctx, id)
		return err
	}
	err = s.describe(ctx, subject, seq, info, id, n)
	switch {
	case errors.Is(err, errTaken):
		s.purge(ctx, id)
	case err == nil && old != "":
		s.purge(ctx, old)
	}
	return err // where nobody can tell whether the description came through, chunks stay until they run out
}

// purge drops an object's chunks; where it can't, they run out.
func (s *Store) purge(ctx context.Context, id string) {
	_ = s.stream.Purge(context.WithoutCancel(ctx), jetstream.WithPurgeSubject(s.chunkSubject(id))) // as said
}

// describe publishes an object's description.
func (s *Store) describe(ctx context.Context, subject string, seq uint64, info runtime.Info, id string, n uint32) error {
	sum, _ := hex.DecodeString(string(info.Content)) // it was made of a hash
	m := nats.NewMsg(subject)
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	var err error
	if m.Data, err = json.Marshal(jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: string(info.Key), Opts: &jetstream.ObjectMetaOptions{ChunkSize: chunk}},
		Bucket:     s.bucket, NUID: id, Size: uint64(info.Size), Chunks: n, //nolint:gosec // sizes are not negative
		Digest: "SHA-256=" + base64.URLEncoding.EncodeToString(sum),
	}); err != nil {
		return err
	}
	_, err = s.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(seq))
	var refused *jetstream.APIError
	if errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return errTaken
	}
	return err
}

// upload publishes content in chunks, and returns how many there are.
func (s *Store) upload(ctx context.Context, subject string, content io.Reader) (n uint32, err error) {
	var sent []jetstream.PubAckFuture
	settle := func(left int) error {
		for len(sent) > left {
			select {
			case <-sent[0].Ok():
			case err := <-sent[0].Err():
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
			sent = sent[1:]
		}
		return nil
	}
	for {
		data := make([]byte, chunk)
		read, err := io.ReadFull(content, data)
		if read > 0 {
			if err := settle(chunks - 1); err != nil {
				return n, err
			}
			f, err := s.js.PublishAsync(subject, data[:read])
			if err != nil {
				return n, err
			}
			sent = append(sent, f)
			n++
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return n, settle(0)
		case err != nil:
			return n, err
		}
	}
}

// Touch does nothing: the queue keeps results for a time.
func (s *Store) Touch(context.Context, eligen.Digest) {}

// Create starts to write a result, which is gathered in memory, or in a temporary file where it is
// large: the queue shows an object as soon as it is there.
func (s *Store) Create(ctx context.Context, key eligen.Digest) (runtime.Writer, error) {
	if !runtime.IsKey(key) {
		return nil, fmt.Errorf("%q is no key of a result", key)
	}
	return &writer{store: s, ctx: ctx, key: key, sum: sha.New()}, nil
}

// small is how many bytes of a result are held in memory.
const small = 256 << 10

type writer struct {
	store *Store
	ctx   context.Context
	key   eligen.Digest
	sum   hash.Hash
	size  int64
	buf   []byte   // all of it, before there is a file
	file  *os.File // all of it
	done  bool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, fs.ErrClosed
	}
	if w.size+int64(len(p)) > runtime.MaxResult {
		return 0, runtime.ErrTooLarge
	}
	w.sum.Write(p)
	w.size += int64(len(p))
	if w.file == nil && w.size <= small {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if w.file == nil {
		var err error
		if w.file, err = os.CreateTemp("", "eligen-queue-*"); err != nil {
			return 0, err
		}
		if _, err := w.file.Write(w.buf); err != nil {
			return 0, err
		}
		w.buf = nil
	}
	return w.file.Write(p)
}

// Commit puts the object into the queue. One that is there stays, unless it is damaged.
func (w *writer) Commit(replace bool) (runtime.Info, error) {
	if w.done {
		return runtime.Info{}, fs.ErrClosed
	}
	s := w.store
	info := runtime.Info{Key: w.key, Content: eligen.Digest(hex.EncodeToString(w.sum.Sum(nil))), Size: w.size}
	for {
		over := replace || s.damaged.has(w.key)
		if !over {
			old, err := w.compare(info)
			if err == nil {
				return old, w.Close()
			}
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, runtime.ErrCorrupt) {
				return old, err
			}
			over = errors.Is(err, runtime.ErrCorrupt)
		}
		var content io.Reader = bytes.NewReader(w.buf)
		if w.file != nil {
			content = io.NewSectionReader(w.file, 0, w.size)
		}
		err := s.put(w.ctx, info, content, over)
		if errors.Is(err, errTaken) {
			continue
		}
		if err != nil {
			return runtime.Info{}, fmt.Errorf("the result can't be put into the queue: %w", err)
		}
		s.damaged.note(w.key, false)
		return info, w.Close()
	}
}

// compare looks at what is there: a result that is the same, or ErrNotDeterministic.
func (w *writer) compare(info runtime.Info) (runtime.Info, error) {
	old, err := w.store.Stat(w.ctx, w.key)
	if err != nil || old.Content == info.Content {
		return old, err
	}
	if old, err = runtime.Verify(w.ctx, w.store, w.key); err == nil { // what is damaged counts for nothing
		err = runtime.ErrNotDeterministic
	}
	return old, err
}

func (w *writer) Close() error {
	w.done, w.buf = true, nil
	if w.file == nil {
		return nil
	}
	file := w.file
	w.file = nil
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// putBlob puts content into a store under its own digest: a picture, or stages of a long task.
func putBlob(ctx context.Context, s runtime.Store, content []byte) (eligen.Digest, error) {
	key := eligen.DigestOf(content)
	_, err := runtime.Put(ctx, s, key, content)
	return key, err
}

// errLacking says that the shared store has no sound copy of what a task needs. That is no fault of the task.
var errLacking = errors.New("it is not in the store that workers share")

// blob reads content that was put under its own digest.
func blob(ctx context.Context, s runtime.Store, key eligen.Digest, most int64) ([]byte, error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLacking, err)
	}
	if info.Size > most {
		return nil, fmt.Errorf("%s has %d bytes; the limit is %d", key.Short(), info.Size, most)
	}
	a, err := runtime.Get(ctx, s, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLacking, err)
	}
	if eligen.DigestOf(a.Data) != key {
		return nil, fmt.Errorf("%w: %s is not what its digest says: %w", errLacking, key.Short(), runtime.ErrCorrupt)
	}
	return a.Data, nil
}
