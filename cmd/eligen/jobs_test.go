package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() { commands["python"] = pythonOf }

// env-of FILE NAME… sets variables to a file's words.
func envOf(ts *testscript.TestScript, neg bool, args []string) {
	words := strings.Fields(ts.ReadFile(args[0]))
	if neg || len(words) != len(args)-1 {
		ts.Fatalf("%q has not a word for each of %v", words, args[1:])
	}
	for i, name := range args[1:] {
		ts.Setenv(name, words[i])
	}
}

// TestJobs has schedulers' own tools read, and run, what export writes for them. Each script skips where its
// tool is missing.
func TestJobs(t *testing.T) {
	cmds := map[string]func(*testscript.TestScript, bool, []string){"slurm": slurmOf, "env-of": envOf}
	for name, f := range commands {
		cmds[name] = f
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/jobs", Setup: setup("testdata/files"), Condition: condition, Cmds: cmds})
}

// python MODULE ARG… runs a module of ELIGEN_PYTHON, or skips the script where that has none.
func pythonOf(ts *testscript.TestScript, neg bool, args []string) {
	interpreter := os.Getenv("ELIGEN_PYTHON")
	if interpreter == "" || len(args) == 0 {
		ts.Fatalf("python MODULE ARG… wants ELIGEN_PYTHON")
	}
	err := ts.Exec(interpreter, append([]string{"-m"}, args...)...)
	if (err == nil) == neg {
		ts.Fatalf("%v: %v", args, err)
	}
}

// hasModule reports whether ELIGEN_PYTHON has a module.
func hasModule(name string) bool {
	interpreter := os.Getenv("ELIGEN_PYTHON")
	return interpreter != "" && exec.Command(interpreter, "-c", "import "+name).Run() == nil
}

// hasSlurm reports whether a cluster of one node can be started.
func hasSlurm() bool {
	for _, name := range []string{"munged", "slurmctld", "slurmd", "sbatch"} {
		if _, err := exec.LookPath(name); err != nil {
			return false
		}
	}
	return os.Getuid() == 0
}

const slurmConf = `ClusterName=test
SlurmctldHost=%[1]s(127.0.0.1)
SlurmUser=root
SlurmctldPort=%[2]d
SlurmdPort=%[3]d
AuthType=auth/munge
AuthInfo=socket=%[4]s/munge/socket
CryptoType=crypto/munge
StateSaveLocation=%[4]s/state
SlurmdSpoolDir=%[4]s/spool
SlurmctldPidFile=%[4]s/slurmctld.pid
SlurmdPidFile=%[4]s/slurmd.pid
SlurmctldLogFile=%[4]s/slurmctld.log
SlurmdLogFile=%[4]s/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MinJobAge=600
NodeName=%[1]s NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=%[1]s Default=YES MaxTime=INFINITE State=UP
`

// slurm starts a Slurm of one node, until the script ends. slurm JOB… waits until jobs have ended.
func slurmOf(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) > 0 {
		slurmWait(ts, args)
		return
	}
	dir, err := os.MkdirTemp("", "slurm") // sockets have short paths
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	host, err := os.Hostname()
	ts.Check(err)
	host, _, _ = strings.Cut(host, ".")
	key := make([]byte, 64)
	_, _ = rand.Read(key)
	for _, sub := range []string{"munge", "state", "spool"} {
		ts.Check(os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	ts.Check(os.WriteFile(filepath.Join(dir, "munge", "key"), key, 0o400))
	conf := filepath.Join(dir, "slurm.conf")
	ts.Check(os.WriteFile(conf, fmt.Appendf(nil, slurmConf, host, portOf(ts), portOf(ts), dir), 0o644))
	ts.Setenv("SLURM_CONF", conf)
	munge := filepath.Join(dir, "munge")
	daemon(ts, "munged", "--foreground", "--force", "--key-file="+munge+"/key", "--socket="+munge+"/socket", "--pid-file="+munge+"/pid",
		"--log-file="+munge+"/log", "--seed-file="+munge+"/seed")
	until(ts, "munge's socket", func() bool { _, err := os.Stat(filepath.Join(munge, "socket")); return err == nil })
	daemon(ts, "slurmctld", "-D")
	daemon(ts, "slurmd", "-D", "-N", host)
	until(ts, "an idle node", func() bool {
		out, err := slurmRun(ts, "sinfo", "-h", "-o", "%t")
		return err == nil && strings.TrimSpace(out) == "idle"
	})
}

// daemon starts a program, which ends with the script.
func daemon(ts *testscript.TestScript, name string, args ...string) {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "SLURM_CONF="+ts.Getenv("SLURM_CONF"), "PATH="+ts.Getenv("PATH"))
	ts.Check(c.Start())
	ts.Defer(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
}

func slurmRun(ts *testscript.TestScript, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "SLURM_CONF="+ts.Getenv("SLURM_CONF"))
	out, err := c.Output()
	return string(out), err
}

// slurmWait waits until jobs have ended, and all of their tasks well.
func slurmWait(ts *testscript.TestScript, jobs []string) {
	for _, job := range jobs {
		job = ts.Getenv(job)
		until(ts, "job "+job, func() bool {
			out, err := slurmRun(ts, "squeue", "-h", "-j", job, "-t", "pending,running,completing,configuring")
			return err == nil && strings.TrimSpace(out) == ""
		})
		out, err := slurmRun(ts, "scontrol", "show", "-o", "job", job)
		ts.Check(err)
		for line := range strings.Lines(out) {
			if !strings.Contains(line, "JobState=COMPLETED") {
				ts.Fatalf("job %s: %s", job, line)
			}
		}
	}
}

// until waits for a condition; what it waits for takes seconds.
func until(ts *testscript.TestScript, what string, holds func() bool) {
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("a minute has passed without %s", what)
		}
	}
}

// portOf returns a port that nobody listens on.
func portOf(ts *testscript.TestScript) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
