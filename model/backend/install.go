package backend

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomlx/go-xla/installer"

	"github.com/eligen/eligen/model/panics"
)

// InstallGoXLA gets the plugin of "xla:cpu" or "xla:cuda" by go-xla's own
// installer, and puts it at path; CUDA's where PluginFile says, since it lies among its
// libraries. It gives where the plugin is. The CPU plugin comes from GitHub
// in the version that go-xla was made for, without a digest; CUDA's from PyPI, the
// latest. It has plugins for more platforms than there are pinned wheels.
func InstallGoXLA(name, path string) (installed string, err error) {
	defer panics.Catch("installing the plugin of "+name, &err)
	dir, err := PluginDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// The installer talks on standard output, which is for results.
	stdout := os.Stdout
	os.Stdout = os.Stderr
	defer func() { os.Stdout = stdout }()
	if name == "xla:cuda" {
		if path, err = PluginFile(name); err != nil {
			return "", err
		}
		return path, installCUDA(dir)
	}
	temp, err := os.MkdirTemp(dir, ".new-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	if err := installer.CPUAutoInstall(temp, false, installer.Quiet); err != nil {
		return "", fmt.Errorf("go-xla's installer: %s", panics.FirstLine(err))
	}
	found, err := filepath.Glob(filepath.Join(temp, "pjrt_c_api_cpu_*_plugin.*"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("go-xla's installer put %d plugins into %s instead of one", len(found), temp)
	}
	found[0], err = filepath.EvalSymlinks(found[0])
	if err != nil {
		return "", err
	}
	return path, os.Rename(found[0], path)
}
