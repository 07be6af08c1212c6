package jobs_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eligen/eligen/jobs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each scheduler's file, of a job that says all and one that says as little as it can.
func TestFiles(t *testing.T) {
	full := jobs.Job{
		Name: "eligen-walk", Scenes: []string{"walk.hcl", "it's night.hcl"}, Flags: []string{"--backend=xla:cuda", "--var", "who=a $(cat)"},
		Shards: 4, CPUs: 8, GPUs: 1, Memory: 32<<30 + 1, Limit: 26*time.Hour + 90*time.Second,
		Image: "render/eligen:1", Claim: "scenes", Kueue: "gpus",
	}
	least := jobs.Job{Name: "eligen-walk", Scenes: []string{"walk.hcl"}, Shards: 1, Image: "render/eligen:1"}
	for name, j := range map[string]jobs.Job{"full": full, "least": least} {
		openJD, err := jobs.OpenJD(j)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{".sbatch": jobs.Slurm(j, "walk.sbatch"), ".k8s.yaml": jobs.Kubernetes(j), ".openjd.yaml": openJD}
		for file, got := range files {
			file = filepath.Join("testdata", name+file)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs; run this test with -update and look at the difference\n%s", file, got)
			}
		}
	}
}

// Whatever a path or a flag holds, the shell that runs a Slurm script gives it to eligen as it is, and no line
// of the script is anything else.
func TestShellTakesAnyName(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	for _, name := range []string{"a b.hcl", "it's.hcl", "$(touch x).hcl", "`id`", "a\nb.hcl", "a\n#SBATCH --array=1-99\nrm.hcl", "\\",
		"'\x01\\'", "ü.hcl", "~", "*", "!x", "--wrap='"} {
		script := jobs.Slurm(jobs.Job{Name: "eligen-x", Scenes: []string{name}, Shards: 1}, name+".sbatch")
		folder := t.TempDir()
		fake := "#!" + bash + "\nprintf '%s\\0' \"$@\"\n"
		if err := os.WriteFile(filepath.Join(folder, "eligen"), []byte(fake), 0o755); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(bash, "-c", script)
		c.Dir, c.Env = folder, []string{"PATH=" + folder}
		out, err := c.Output()
		if want := "apply\x00" + name + "\x00--shard=auto\x00"; err != nil || string(out) != want {
			t.Errorf("%q: eligen gets %q, %v", name, out, err)
		}
		if n := strings.Count("\n"+script, "\n#SBATCH --array"); n != 1 {
			t.Errorf("%q: the script has %d arrays:\n%s", name, n, script)
		}
	}
}

// A name is one that Slurm, Kubernetes and OpenJD take.
func TestNameOf(t *testing.T) {
	for text, want := range map[string]string{
		"walk": "eligen-walk", "My Scene (2)": "eligen-my-scene-2", "…": "eligen", "--x--": "eligen-x", "a\nb": "eligen-a-b",
		"märz": "eligen-m-rz", strings.Repeat("ab", 40): "eligen-" + strings.Repeat("ab", 16) + "a",
	} {
		got := jobs.NameOf(text)
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		if !regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`).MatchString(got) {
			t.Errorf("%q: %s is no name", text, got)
		}
	}
}

// What a template would take for its own parameters is refused, and so are more scenes than it can name.
func TestOpenJDRefuses(t *testing.T) {
	flags := []string{"--var=x={{Session.WorkingDirectory}}"}
	if _, err := jobs.OpenJD(jobs.Job{Scenes: []string{"a.hcl"}, Flags: flags, Shards: 1}); err == nil {
		t.Error("a flag that is a parameter is taken")
	}
	if _, err := jobs.OpenJD(jobs.Job{Scenes: make([]string, 41), Shards: 1}); err == nil {
		t.Error("41 scenes are taken")
	}
}
