package bucket

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gocloud.dev/blob"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/remote"
	"github.com/eligen/eligen/store/storetest"
)

func opened(t *testing.T, address string) *remote.Store {
	t.Helper()
	b, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return remote.Over(b, remote.Options{})
}

// subject returns a store over a bucket, whose server keeps objects in files.
func subject(t *testing.T, address, files string) storetest.Opened {
	t.Helper()
	s := opened(t, address)
	return storetest.Opened{
		Store: s,
		Again: func(t *testing.T) runtime.Store { return opened(t, address) },
		Damage: func(t *testing.T, key eligen.Digest, change func([]byte) []byte) {
			t.Helper()
			info, err := s.Stat(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(files, "cas", string(info.Content))
			data, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(data), 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	}
}

// TestS3 runs the contract on a real server of S3's protocol, with credentials.
func TestS3(t *testing.T) {
	storetest.Run(t, storetest.Subject{Allocates: true, Open: func(t *testing.T) storetest.Opened {
		address, files := storetest.S3(t)
		return subject(t, address, files)
	}})
}

// TestFolder runs the contract on a folder: it appears with the first result, and holds no file of attributes.
func TestFolder(t *testing.T) {
	storetest.Run(t, storetest.Subject{Open: func(t *testing.T) storetest.Opened {
		files := filepath.Join(t.TempDir(), "shared")
		return subject(t, "file://"+files, files)
	}})
}

// TestRefused: what a server refuses is said at once, without a word of the secret, and is no miss.
func TestRefused(t *testing.T) {
	address, files := storetest.S3(t)
	key := storetest.Key("recipe")
	if _, err := runtime.Put(t.Context(), opened(t, address), key, []byte("words")); err != nil {
		t.Fatal(err)
	}
	refused := func(t *testing.T, address string) {
		t.Helper()
		s := opened(t, address)
		_, err := s.Stat(t.Context(), key)
		var no *remote.RefusedError
		if !errors.As(err, &no) || strings.Contains(err.Error(), "another-secret") || !strings.HasPrefix(err.Error(), "s3://results/eligen/ac/") {
			t.Errorf("Stat: %v", err)
		}
		if _, err := runtime.Put(t.Context(), s, storetest.Key("other"), []byte("words")); !errors.As(err, &no) {
			t.Errorf("Put: %v", err)
		}
	}
	t.Run("a wrong secret", func(t *testing.T) {
		t.Setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
		refused(t, address)
	})
	t.Run("a stranger", func(t *testing.T) {
		t.Setenv("AWS_ACCESS_KEY_ID", "somebody")
		refused(t, address)
	})
	t.Run("nobody", func(t *testing.T) { refused(t, address+"&anonymous=true") })
	if written, err := filepath.Glob(filepath.Join(files, "ac", "*")); err != nil || len(written) != 1 {
		t.Errorf("the bucket has %v, %v", written, err)
	}
	t.Run("without credentials", func(t *testing.T) {
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
		_, err := opened(t, address).Stat(t.Context(), key)
		if err == nil || err.Error() != "s3://results/eligen: "+unready["get credentials"] {
			t.Errorf("%v", err)
		}
	})
	t.Run("without a region", func(t *testing.T) {
		t.Setenv("AWS_REGION", "")
		_, err := opened(t, "s3://results").Stat(t.Context(), key)
		if err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
			t.Errorf("%v", err)
		}
	})
	s := opened(t, strings.Replace(address, "results", "nowhere", 1))
	for _, err := range []error{
		func() error { _, err := s.Stat(t.Context(), key); return err }(),
		func() error { _, err := runtime.Put(t.Context(), s, key, []byte("words")); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "s3://nowhere/eligen: NoSuchBucket: ") {
			t.Errorf("a bucket that isn't there: %v", err)
		}
	}
}

// TestParts: a result that the protocol sends in several parts, and one that was cut off while it was sent.
func TestParts(t *testing.T) {
	address, files := storetest.S3(t)
	s := opened(t, address)
	large := bytes.Repeat([]byte("words that matter. "), 1<<20)
	if _, err := runtime.Put(t.Context(), s, storetest.Key("large"), large); err != nil {
		t.Fatal(err)
	}
	got, err := runtime.Get(t.Context(), opened(t, address), storetest.Key("large"))
	if err != nil || !bytes.Equal(got.Data, large) {
		t.Errorf("%d bytes, %v", len(got.Data), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w, err := s.Create(ctx, storetest.Key("cut"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(append(large, "more"...)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := w.Commit(false); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if written, err := filepath.Glob(filepath.Join(files, "*", "*")); err != nil || len(written) != 2 {
		t.Errorf("the bucket has %v, %v", written, err)
	}
}

// TestOpen: what is no address of a bucket is refused before anything is sent.
func TestOpen(t *testing.T) {
	t.Setenv("AZURE_STORAGE_ACCOUNT", "")
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "")
	for address, want := range map[string]string{
		"s3://":                    "names no bucket",
		"s3:///folder":             "names no bucket",
		"s3://key:word@results":    "AWS_ACCESS_KEY_ID",
		"s3://results?colour=blue": "colour",
		"s3://%zz":                 "no address",
		"azblob://results":         "AZURE_STORAGE_ACCOUNT",
	} {
		b, err := Open(t.Context(), address)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "word@") {
			t.Errorf("%s: %v, %v", address, b, err)
		}
	}
	if !blob.DefaultURLMux().ValidBucketScheme("gs") {
		if _, err := Open(t.Context(), "gs://results"); err == nil || !strings.Contains(err.Error(), "-tags gcs") {
			t.Errorf("gs://: %v", err)
		}
	}
	for address, is := range map[string]bool{
		"s3://a": true, "gs://a": true, "azblob://a": true, "file:///a": true, "http://a": false, "s3": false,
	} {
		if Is(address) != is {
			t.Errorf("%s is a bucket's: %v", address, !is)
		}
	}
}
