package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/fetch"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/model/backend"
)

// A plugin is how an XLA backend is installed from PyPI: a wheel that holds the
// PJRT plugin, and wheels of libraries that it needs. All are pinned.
type plugin struct {
	backend  string // "xla:cpu"
	platform string // GOOS/GOARCH
	wheel    wheel
	member   string        // the plugin inside of the wheel
	digest   eligen.Digest // of that member; "" where the wheel's digest is the only one known
	needs    []wheel       // their folder "nvidia" goes next to the plugin
}

// A wheel is a file on PyPI.
type wheel struct {
	name, version, tags string
	digest              eligen.Digest
}

func (w wheel) file() string {
	return strings.ReplaceAll(w.name, "-", "_") + "-" + w.version + "-" + w.tags + ".whl"
}

func (w wheel) fetch() fetch.Package {
	return fetch.Package{Registry: "pypi", Name: w.name, Version: w.version, File: w.file(), SHA256: w.digest}
}

// plugins lists the plugins that `eligen backend install` knows. A new line adds a platform.
var plugins = []plugin{
	{
		backend:  "xla:cpu",
		platform: "linux/amd64",
		wheel: wheel{"lammps-jax-pjrt-cpu", "0.11.2", "py3-none-manylinux_2_27_x86_64",
			"1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1"},
		member: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
		digest: "ad1309ac822b1b24d51b7f9947c7c9fa9ef5d67f390584cbc3d1fa2428fed9c2",
	},
	{
		backend:  "xla:cuda",
		platform: "linux/amd64",
		wheel: wheel{"jax-cuda12-pjrt", "0.12.0.1", "py3-none-manylinux_2_27_x86_64",
			"5ec28e06198d094031c37590b4ea753ae8cde4879ab4b60baf40f0dffb673286"},
		member: "jax_plugins/xla_cuda12/xla_cuda_plugin.so",
		// What jax-cuda12-plugin[with-cuda] 0.12.0.1 asks for.
		needs: []wheel{
			{"nvidia-cublas-cu12", "12.9.1.4", "py3-none-manylinux_2_27_x86_64", "453611eb21a7c1f2c2156ed9f3a45b691deda0440ec550860290dc901af5b4c2"},
			{"nvidia-cuda-cupti-cu12", "12.9.79", "py3-none-manylinux_2_25_x86_64",
				"096bcf334f13e1984ba36685ad4c1d6347db214de03dbb6eebb237b41d9d934f"},
			{"nvidia-cuda-nvcc-cu12", "12.9.86", "py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64",
				"5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0"},
			{"nvidia-cuda-nvrtc-cu12", "12.9.86", "py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64",
				"210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4"},
			{"nvidia-cuda-runtime-cu12", "12.9.79", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				"25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3"},
			{"nvidia-cudnn-cu12", "9.12.0.46", "py3-none-manylinux_2_27_x86_64", "73471a185656232b383693294431882edb14584ee47f41c0abd81556b92ef2ac"},
			{"nvidia-cufft-cu12", "11.4.1.4", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				"c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28"},
			{"nvidia-cusolver-cu12", "11.7.5.82", "py3-none-manylinux_2_27_x86_64",
				"15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88"},
			{"nvidia-cusparse-cu12", "12.5.9.5", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				"b2f816d34a7bceab4cb00f0eaadb6a99fc9c285204da6401b42b952e4d61b77b"},
			{"nvidia-nccl-cu12", "2.30.7", "py3-none-manylinux_2_18_x86_64", "8ce1b8213f61f2bfac132e6df890af6450b77cbd140c6ce4e98cb0c2d8e678c9"},
			{"nvidia-nvjitlink-cu12", "12.9.86", "py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64",
				"e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9"},
			{"nvidia-nvshmem-cu12", "3.7.2", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				"02b6d3482d90ea8ba214bc400362297f573257763990a98c9846ec5c786a7227"},
		},
	},
}

// findPlugin returns the table's line for a backend on this machine.
func findPlugin(backend string) (plugin, bool) {
	i := slices.IndexFunc(plugins, func(p plugin) bool {
		return p.backend == backend && p.platform == runtime.GOOS+"/"+runtime.GOARCH
	})
	if i < 0 {
		return plugin{}, false
	}
	return plugins[i], true
}

// install downloads the plugin and what it needs, and puts it at path.
// Downloads are kept until everything is in place, so that an interrupted
// installation goes on where it stopped.
func (p plugin) install(ctx context.Context, c *fetch.Client, path string, log io.Writer) error {
	downloads, err := cacheDir("downloads")
	if err != nil {
		return err
	}
	fetched := func(w wheel) (string, error) {
		to := filepath.Join(downloads, w.file())
		fmt.Fprintf(log, "%s %s from PyPI\n", w.name, w.version)
		return to, w.fetch().Download(ctx, c, to)
	}
	folder := filepath.Dir(path)
	var done []string
	for _, w := range p.needs {
		archive, err := fetched(w)
		if err != nil {
			return err
		}
		done = append(done, archive)
		_, err = fetch.Unpack(archive, folder, 4<<30, func(member string) string {
			rest, _ := strings.CutPrefix(member, "nvidia/")
			if rest == member || strings.HasSuffix(member, ".py") {
				return ""
			}
			return rest
		})
		if err != nil {
			return err
		}
	}
	archive, err := fetched(p.wheel)
	if err != nil {
		return err
	}
	done = append(done, archive)
	if err := fetch.Member(archive, p.member, path, p.digest); err != nil {
		return err
	}
	if len(p.needs) > 0 { // the CUDA plugin runs ptxas, and looks for it in bin
		bin := filepath.Join(folder, "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			return err
		}
		link := filepath.Join(bin, "ptxas")
		_ = os.Remove(link)
		if err := os.Symlink(filepath.Join("..", "cuda_nvcc", "bin", "ptxas"), link); err != nil {
			return err
		}
	}
	for _, f := range done {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	return nil
}

// copyFrom takes the plugin from a file on this machine: a wheel, or the plugin
// itself. want is the digest that the user gave; without one, the file must be
// one that the table knows. member is the plugin's name in a wheel that it doesn't.
func (p plugin) copyFrom(file, path, member string, want eligen.Digest) error {
	got, err := files.DigestOf(file)
	if err != nil {
		return err
	}
	var known []eligen.Digest
	for _, d := range []eligen.Digest{p.wheel.digest, p.digest} {
		if d != "" {
			known = append(known, d)
		}
	}
	switch {
	case want != "" && !strings.EqualFold(string(want), string(got)):
		return fmt.Errorf("%s: %w: its SHA-256 is %s, --sha256 says %s", file, fetch.ErrDigest, got, want)
	case want == "" && !slices.Contains(known, got):
		return fmt.Errorf("%s: %w: its SHA-256 is %s, which is none of the plugins that eligen knows for this machine. A plugin is code that "+
			"runs as you: if you trust it, say so with\n  --sha256 %s", file, fetch.ErrDigest, got, got)
	}
	if !strings.HasSuffix(file, ".whl") {
		in, err := os.Open(file)
		if err != nil {
			return err
		}
		defer in.Close()
		return fetch.Write(in, path, got)
	}
	return fetch.Member(file, cmp.Or(p.member, member), path, p.digest)
}

// stagedName begins the name of a plugin that is yet to be tried.
const stagedName = "new-"

// getPlugin gets a backend's plugin and puts it beside the place where the engine looks
// for it, under a name of its own: what is installed already stays until the new one has
// been loaded. It gives where the new one is.
func (o *installOptions) getPlugin(ctx context.Context, name, path string, log io.Writer) (string, error) {
	staged := filepath.Join(filepath.Dir(path), stagedName+filepath.Base(path))
	p, known := findPlugin(name)
	if o.from != "" {
		return staged, p.copyFrom(o.from, staged, filepath.Base(path), eligen.Digest(o.sha256))
	}
	switch {
	case o.source == "go-xla" || o.source == "" && !known:
		fmt.Fprintf(log, "%s by go-xla's installer, from where it has it\n", name)
		return backend.InstallGoXLA(name, staged)
	case o.source != "" && o.source != "pypi":
		return "", app.Unknown("source", o.source, "source", []string{"pypi", "go-xla"})
	case !known:
		return "", fmt.Errorf("there is no wheel of %s for %s/%s that eligen knows. Try --source go-xla, or get a PJRT plugin elsewhere and "+
			"install it with\n  eligen backend install %s --from FILE --sha256 DIGEST", name, runtime.GOOS, runtime.GOARCH, name)
	}
	return staged, p.install(ctx, &fetch.Client{Progress: downloadProgress(log)}, staged, log)
}

// installPlugin gets a plugin, loads it, and then puts it where the engine looks for it.
// digest is the plugin's.
func (o *installOptions) installPlugin(ctx context.Context, name string, log io.Writer) (path string, digest eligen.Digest, err error) {
	if path, err = backend.PluginFile(name); err != nil {
		return "", "", err
	}
	staged, err := o.getPlugin(ctx, name, path, log)
	if err != nil {
		return "", "", err
	}
	opened, info, err := backend.Open("xla:" + staged)
	if err != nil {
		if staged != path {
			err = errors.Join(fmt.Errorf("the new plugin can't be used, and was not installed: %w", err), os.Remove(staged))
		} else {
			err = fmt.Errorf("%s is in place but can't be used, and is not the default: %w", path, err)
		}
		return "", "", err
	}
	opened.Finalize()
	return path, info.PluginDigest, os.Rename(staged, path)
}
