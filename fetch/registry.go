package fetch

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/eligen/eligen"
)

// A Package is one file of a package registry.
type Package struct {
	Registry string // "npm" or "pypi"
	Name     string
	Version  string
	File     string        // pypi: the wheel's file name; npm has one tarball a version
	SHA256   eligen.Digest // of the file; "" trusts what the registry says
	Limit    int64         // most bytes; 0 is DefaultLimit
}

// Download puts a package's file at path, as Client.Download does.
func (p Package) Download(ctx context.Context, c *Client, path string) error {
	if p.SHA256 != "" && check(File{SHA256: p.SHA256}, path) == nil {
		return nil // without a word to the registry
	}
	f, err := c.Locate(ctx, p)
	if err != nil {
		return err
	}
	return c.Download(ctx, f, path)
}

// Locate asks the registry where a package's file is and what digest it has.
//
// The registry is the one that npm and pip are set up to use: for npm, the
// variable npm_config_registry, then the registry of ~/.npmrc (of the package's
// scope first); for PyPI, the variable PIP_INDEX_URL, then index-url of pip's
// configuration file; then registry.npmjs.org and pypi.org.
func (c *Client) Locate(ctx context.Context, p Package) (File, error) {
	var f File
	var err error
	switch p.Registry {
	case "npm":
		f, err = c.locateNPM(ctx, p)
	case "pypi":
		f, err = c.locatePyPI(ctx, p)
	default:
		err = fmt.Errorf("there is no registry %q", p.Registry)
	}
	if err != nil {
		return File{}, fmt.Errorf("%s package %s %s: %w", p.Registry, p.Name, p.Version, err)
	}
	if p.SHA256 != "" && f.SHA256 != "" && f.SHA256 != p.SHA256 {
		return File{}, fmt.Errorf("%s package %s %s: %w: the registry's file has SHA-256 %s, expected %s", p.Registry, p.Name,
			p.Version, ErrDigest, f.SHA256, p.SHA256)
	}
	f.SHA256, f.Limit = cmp.Or(p.SHA256, f.SHA256), p.Limit
	return f, nil
}

func (c *Client) locateNPM(ctx context.Context, p Package) (File, error) {
	base := c.npmRegistry(p.Name)
	// A scoped name's slash is escaped, as npm itself does.
	doc, _, err := c.get(ctx, base+"/"+strings.ReplaceAll(p.Name, "/", "%2f")+"/"+url.PathEscape(p.Version), "application/json", nil)
	if err != nil {
		return File{}, err
	}
	var v struct {
		Dist struct{ Tarball, Integrity string }
	}
	if err := json.Unmarshal(doc, &v); err != nil || v.Dist.Tarball == "" {
		return File{}, fmt.Errorf("the registry's answer names no tarball")
	}
	if v.Dist.Integrity == "" && p.SHA256 == "" {
		return File{}, fmt.Errorf("the registry's answer names no digest")
	}
	return File{URL: v.Dist.Tarball, Integrity: v.Dist.Integrity}, nil
}

// simpleLink is an entry of PyPI's simple index in its HTML form (PEP 503).
var simpleLink = regexp.MustCompile(`(?s)<a\s[^>]*?href\s*=\s*["']([^"']+)["'][^>]*>(.*?)</a>`)

func (c *Client) locatePyPI(ctx context.Context, p Package) (File, error) {
	base, err := url.Parse(c.pypiIndex() + "/" + url.PathEscape(normalize(p.Name)) + "/")
	if err != nil {
		return File{}, err
	}
	doc, contentType, err := c.get(ctx, base.String(), "application/vnd.pypi.simple.v1+json, text/html;q=0.2", nil)
	if err != nil {
		return File{}, err
	}
	type entry struct {
		Filename, URL string
		Hashes        map[string]string
	}
	var entries []entry
	if strings.Contains(contentType, "json") { // PEP 691
		var v struct{ Files []entry }
		if err := json.Unmarshal(doc, &v); err != nil {
			return File{}, fmt.Errorf("the index's answer is damaged: %w", err)
		}
		entries = v.Files
	} else {
		for _, m := range simpleLink.FindAllSubmatch(doc, -1) {
			link, digest, _ := strings.Cut(html.UnescapeString(string(m[1])), "#")
			e := entry{Filename: strings.TrimSpace(html.UnescapeString(string(m[2]))), URL: link}
			if sum, ok := strings.CutPrefix(digest, "sha256="); ok {
				e.Hashes = map[string]string{"sha256": sum}
			}
			entries = append(entries, e)
		}
	}
	for _, e := range entries {
		if e.Filename != p.File {
			continue
		}
		u, err := base.Parse(e.URL) // may be relative to the index
		if err != nil {
			return File{}, err
		}
		if u.Host == base.Host && u.User == nil {
			u.User = base.User
		}
		if e.Hashes["sha256"] == "" && p.SHA256 == "" {
			return File{}, fmt.Errorf("the index names no digest of %s", p.File)
		}
		return File{URL: u.String(), SHA256: eligen.Digest(e.Hashes["sha256"])}, nil
	}
	return File{}, fmt.Errorf("the index has no file %s", p.File)
}

var separators = regexp.MustCompile(`[-_.]+`)

// normalize returns PEP 503's form of a project's name.
func normalize(name string) string { return strings.ToLower(separators.ReplaceAllString(name, "-")) }

func (c *Client) env(name string) string {
	if c.Lookup != nil {
		return c.Lookup(name)
	}
	return os.Getenv(name)
}

func (c *Client) npmRegistry(pkg string) string {
	found := cmp.Or(c.env("npm_config_registry"), c.env("NPM_CONFIG_REGISTRY"))
	if found == "" {
		rc := cmp.Or(c.env("npm_config_userconfig"), c.env("NPM_CONFIG_USERCONFIG"), filepath.Join(c.home(), ".npmrc"))
		settings := readSettings(rc, "")
		if scope, _, ok := strings.Cut(pkg, "/"); ok {
			found = settings[scope+":registry"]
		}
		found = cmp.Or(found, settings["registry"])
	}
	return strings.TrimSuffix(cmp.Or(found, "https://registry.npmjs.org"), "/")
}

func (c *Client) pypiIndex() string {
	found := c.env("PIP_INDEX_URL")
	if found == "" {
		name := "pip.conf"
		places := []string{c.env("PIP_CONFIG_FILE")}
		if runtime.GOOS == "windows" {
			name = "pip.ini"
		} else {
			places = append(places, filepath.Join(c.home(), ".config", "pip", name), filepath.Join(c.home(), ".pip", name))
		}
		if dir, err := os.UserConfigDir(); err == nil && c.Lookup == nil {
			places = append(places, filepath.Join(dir, "pip", name))
		}
		places = append(places, filepath.Join("/etc", name))
		for _, p := range places {
			if found = cmp.Or(found, readSettings(p, "global")["index-url"]); found != "" {
				break
			}
		}
	}
	return strings.TrimSuffix(cmp.Or(found, "https://pypi.org/simple"), "/")
}

func (c *Client) home() string {
	if h := cmp.Or(c.env("HOME"), c.env("USERPROFILE")); h != "" {
		return h
	}
	h, _ := os.UserHomeDir()
	return h
}

// readSettings reads the "key = value" lines of one section of an ini file.
// A file that isn't there has none.
func readSettings(path, section string) map[string]string {
	out := map[string]string{}
	if path == "" {
		return out
	}
	f, err := os.Open(path)
	if err != nil {
		return out
	}
	defer f.Close()
	in := ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if name, ok := strings.CutPrefix(line, "["); ok {
			in = strings.TrimSuffix(name, "]")
			continue
		}
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") || in != section {
			continue
		}
		if k, v, ok := strings.Cut(line, "="); ok {
			out[strings.TrimSpace(k)] = strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	return out
}
