// Package bucket opens buckets as the objects of a store that machines share: those of S3's protocol, of
// Azure, and folders.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob:
	_ "gocloud.dev/blob/fileblob"  // file:
	_ "gocloud.dev/blob/s3blob"    // s3:
	"gocloud.dev/gcerrors"

	"github.com/eligen/eligen/store/remote"
)

// A Bucket is the objects of a bucket.
type Bucket struct {
	bucket  *blob.Bucket
	address string // without its query
}

var _ remote.Objects = (*Bucket)(nil)

// schemes are those of addresses of buckets.
var schemes = []string{"s3", "azblob", "file", "gs"}

// Is reports whether an address is one of a bucket.
func Is(address string) bool {
	scheme, _, ok := strings.Cut(address, "://")
	return ok && slices.Contains(schemes, scheme)
}

// Open returns the Bucket at an address: s3://NAME/FOLDER, azblob://NAME/FOLDER, file:///FOLDER, or gs://NAME/FOLDER
// in a build with the tag gcs. Credentials are found as the clouds' own programs find them. What follows a question
// mark is Go CDK's: endpoint=URL for a server of S3's protocol that isn't AWS. It sends nothing.
func Open(ctx context.Context, address string) (*Bucket, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%q is no address of a bucket", address)
	}
	if u.User != nil {
		return nil, errors.New("a bucket's address has no password: set the cloud's own variables, such as AWS_ACCESS_KEY_ID")
	}
	if u.Scheme == "gs" && !blob.DefaultURLMux().ValidBucketScheme("gs") {
		return nil, errors.New("this build has no gs://: build eligen with -tags gcs, or use Google's S3 protocol, with an HMAC key: " +
			"s3://NAME?endpoint=https://storage.googleapis.com&region=auto")
	}
	if u.Scheme == "azblob" && !u.Query().Has("storage_account") && os.Getenv("AZURE_STORAGE_ACCOUNT") == "" &&
		os.Getenv("AZURE_STORAGE_CONNECTION_STRING") == "" {
		return nil, errors.New("azblob:// needs an account: set AZURE_STORAGE_ACCOUNT, or AZURE_STORAGE_CONNECTION_STRING")
	}
	at := *u
	at.RawQuery = ""
	prefix := ""
	if u.Scheme != "file" {
		if u.Host == "" {
			return nil, fmt.Errorf("%q names no bucket, as %s://NAME does", address, u.Scheme)
		}
		if prefix = strings.Trim(path.Clean(u.Path), "/."); prefix != "" {
			prefix += "/"
		}
		u.Path = ""
	}
	settle(u)
	b, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("%s can't be opened: %w", at.String(), err)
	}
	if prefix != "" {
		b = blob.PrefixedBucket(b, prefix)
	}
	return &Bucket{b, strings.TrimSuffix(at.String(), "/")}, nil
}

// settle adds what an address leaves open.
func settle(u *url.URL) {
	q := u.Query()
	add := func(name, value string) {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	switch {
	case u.Scheme == "file": // written in the folder itself, so that it appears whole, and with no files of attributes
		add("create_dir", "true")
		add("no_tmp_dir", "true")
		add("metadata", "skip")
	case u.Scheme == "s3" && q.Has("endpoint"): // servers that aren't AWS
		add("region", "us-east-1")
		add("use_path_style", "true")
		add("request_checksum_calculation", "when_required")
		add("response_checksum_validation", "when_required")
	}
	u.RawQuery = q.Encode()
}

// Close frees what the bucket holds.
func (b *Bucket) Close() error { return b.bucket.Close() }

// Get opens an object.
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	r, err := b.bucket.NewReader(ctx, name, nil)
	if err != nil {
		return nil, 0, b.failure(name, err)
	}
	return r, r.Size(), nil
}

// Size returns an object's size.
func (b *Bucket) Size(ctx context.Context, name string) (int64, error) {
	a, err := b.bucket.Attributes(ctx, name)
	if err != nil {
		return 0, b.failure(name, err)
	}
	return a.Size, nil
}

// Put writes an object.
func (b *Bucket) Put(ctx context.Context, name string, body func() io.Reader, _ int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := b.bucket.NewWriter(ctx, name, &blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return b.failure(name, err)
	}
	_, err = io.Copy(w, body())
	if err != nil {
		cancel() // Close then writes nothing
	}
	if closed := w.Close(); err == nil {
		err = closed
	}
	return b.failure(name, err)
}

// Address returns where an object is.
func (b *Bucket) Address(name string) string { return b.address + "/" + name }

// failure returns what an error means for a remote store.
func (b *Bucket) failure(name string, err error) error {
	if err == nil {
		return nil
	}
	code := gcerrors.Code(err)
	if code == gcerrors.NotFound {
		for _, none := range []string{"NoSuchBucket", "ContainerNotFound"} { // which no result mends
			if strings.Contains(err.Error(), none) {
				return &remote.RefusedError{Err: fmt.Errorf("%s: %w", b.address, plain(err))}
			}
		}
		return fs.ErrNotExist
	}
	said := fmt.Errorf("%s: %w", b.Address(name), plain(err))
	for sign, todo := range unready {
		if strings.Contains(err.Error(), sign) {
			return &remote.RefusedError{Err: fmt.Errorf("%s: %s", b.address, todo)}
		}
	}
	switch code {
	case gcerrors.PermissionDenied, gcerrors.InvalidArgument, gcerrors.FailedPrecondition, gcerrors.Unimplemented:
		return &remote.RefusedError{Err: said}
	}
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		switch n := answer.HTTPStatusCode(); {
		case n == http.StatusRequestTimeout, n == http.StatusTooManyRequests:
		case n >= 400 && n < 500:
			return &remote.RefusedError{Err: said}
		}
	}
	return said
}

// unready are what AWS's client says before it sends anything, and what to do.
var unready = map[string]string{
	"get credentials":     "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
	"endpoint rule error": "set AWS_REGION to the bucket's region, or for a server that isn't AWS add ?endpoint=URL",
}

// plain returns a server's own words alone, where an error has them: without the numbers of requests.
func plain(err error) error {
	var api interface {
		error
		ErrorCode() string
		ErrorMessage() string
	}
	if !errors.As(err, &api) || api.ErrorMessage() == "" {
		return err
	}
	return &answerError{api.ErrorCode() + ": " + api.ErrorMessage(), err}
}

// An answerError is a server's words for an error.
type answerError struct {
	words string
	err   error
}

func (e *answerError) Error() string { return e.words }
func (e *answerError) Unwrap() error { return e.err }
