package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"charm.land/fang/v2"
	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/fetch"
	"github.com/eligen/eligen/internal/bug"
)

// The exit codes of all commands (help exit-codes).
const (
	exitOK          = 0
	exitError       = 1
	exitChanges     = 2
	exitCheck       = 3
	exitMismatch    = 4
	exitIntegrity   = 6
	exitInterrupted = 130 // 128 and SIGINT
	exitTerminated  = 143 // 128 and SIGTERM
)

// run is the whole program, and gives its exit code.
func run(args []string) int {
	if slices.Contains(args, "--no-color") {
		os.Setenv("NO_COLOR", "1") // before anything looks, help included
	}
	ctx, interrupt := listen()
	ctx = context.WithValue(ctx, interruptKey{}, interrupt)
	l := &leaving{}
	ctx = context.WithValue(ctx, leavingKey{}, l)
	out := &output{File: os.Stdout}
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	said := false
	err := l.supervise(ctx, func() error {
		return fang.Execute(ctx, root, fang.WithVersion(eligen.Version), fang.WithErrorHandler(func(w io.Writer, s fang.Styles, err error) {
			said = true
			report(w, s, err)
		}))
	})
	// What cobra hasn't seen: a command that was given up, or has panicked.
	var b *bug.Error
	if errors.As(err, &b) || errors.Is(err, context.Canceled) && !said {
		report(os.Stderr, fang.Styles{}, err)
	}
	if failed := out.failed(); failed != nil && (err == nil || exitCode(ctx, err) == exitChanges) {
		err = failed
		report(os.Stderr, fang.Styles{}, err)
	}
	return exitCode(ctx, err)
}

// newRoot is the command tree.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "eligen",
		Short: "Make pictures in which every entity is where the scene file says",
		Long: `Make pictures in which every entity is where the scene file says.

A scene file names entities, each with a prompt and a region. eligen plans the work, runs a FLUX model with EliGen's regional attention, and writes a PNG.`,
		Example: `# make a scene's pictures
eligen apply scene.hcl
# say what apply would do
eligen plan scene.hcl
# get the faster backend
eligen backend install xla:cpu`,
	}
	root.PersistentFlags().Bool("no-color", false, "no colours (also: the variable NO_COLOR)")
	group := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("scene", "scenes", newNew(), newInit(), newApply(), newPlan(), newGraph(), newKeys(), newPreview(), newReplay(), newValidate(), newFmt(), newShow(), newDiff(), newVerify(), newConsole(), newCache())
	group("machine", "models and machine", newBackend(), newModels(), newSchema(), newVersion())
	group("train", "training", newTrain(), newEval(), newDataset())
	group("topic", "topics",
		helpTopic("environment", "The environment variables that eligen reads", helpEnvironment),
		helpTopic("exit-codes", "What eligen's exit codes mean", helpExitCodes),
	)
	root.SetHelpCommandGroupID("topic")
	root.SetCompletionCommandGroupID("topic")
	return root
}

// family is a command that only holds others.
func family(c *cobra.Command, members ...*cobra.Command) *cobra.Command {
	c.AddCommand(members...)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		hint := ""
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("\n\nDid you mean %q?", near[0])
		}
		return fmt.Errorf("unknown command %q for %q%s", args[0], c.CommandPath(), hint)
	}
	return c
}

func helpTopic(name, short, text string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Long: strings.TrimSpace(text)}
}

const helpEnvironment = `
ELIGEN_CACHE_DIR   the folder of results, journals and downloads (else eligen in the user's cache folder)
ELIGEN_PLUGIN_DIR  the folder of XLA plugins (else eligen/plugins in the user's cache folder)
ELIGEN_NANO_DIR    a folder to take the model nano from, instead of the embedded one
ELIGEN_VAR_name    the value of the scene variable "name"
ELIGEN_LLM_KEY     the key for the language model of eligen new (else OPENAI_API_KEY)
GOMLX_BACKEND      the backend where --backend isn't given
NO_COLOR           no colours
CI, TERM           CI set, or TERM=dumb: progress as plain lines
LC_ALL, LC_CTYPE, LANG
                   the first that is set is not UTF-8, or none is: a screen in ASCII
GOMAXPROCS         how many threads the Go backend uses
HTTPS_PROXY        the proxy for downloads
npm_config_registry, PIP_INDEX_URL
                   the registries that downloads come from (else what ~/.npmrc and pip.conf say)
`

const helpExitCodes = `
0    all is well
1    an error: in the scene, in the way eligen was called, or in running it
2    apply would make something (plan --detailed-exitcode); two files differ (diff --detailed-exitcode)
3    a check failed: of the scene's, or files are not formatted (fmt --check)
4    a picture is not as it was recorded (verify)
5    locked: another process is at work there (no command of this release ends so)
6    a file is not what it should be: weights or a download that are corrupt, or weights that are not those of the lock
130  interrupted (ctrl-c, SIGINT); what was finished stays in the store
143  terminated (SIGTERM); what was finished stays in the store
`

// An exit is an error that brings its own exit code. Without an error in it,
// nothing is printed.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// exitCode is the process's exit code after err.
func exitCode(ctx context.Context, err error) int {
	var e exit
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return interruptedBy(ctx)
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, fetch.ErrDigest):
		return exitIntegrity
	}
	return exitError
}

// report prints an error for people: diagnostics as they are, all else in the
// same form.
func report(w io.Writer, _ fang.Styles, err error) {
	var e exit
	if errors.As(err, &e) && e.err == nil {
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "Interrupted. What was finished is kept; the same command goes on from there.")
		return
	}
	var ds eligen.Diagnostics
	if errors.As(err, &ds) {
		diagnose(w, ds)
		return
	}
	var b *bug.Error
	if errors.As(err, &b) {
		fmt.Fprintf(w, "Error: %v.\n\nWhat was finished is kept. Please report this, with the scene if you can.\n", b)
		return
	}
	fmt.Fprintf(w, "Error: %s\n", strings.TrimSpace(err.Error()))
	if usage(err) {
		fmt.Fprintln(w, "\n--help says how the command is used.")
	}
}

// usage reports whether an error is about flags and arguments. Cobra gives such
// errors no type of their own.
func usage(err error) bool {
	var u usageError
	if errors.As(err, &u) {
		return true
	}
	for _, prefix := range []string{"flag needs", "unknown flag", "unknown shorthand", "unknown command", "invalid argument", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), prefix) {
			return true
		}
	}
	return false
}

// A usageError says that a command was not called as it must be.
type usageError struct{ error }

// complete offers files with an extension, to a shell that completes.
func complete(extension string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return []cobra.Completion{extension}, cobra.ShellCompDirectiveFilterFileExt
	}
}

// choices offers the values that a flag can have.
func choices(c *cobra.Command, flag string, values ...cobra.Completion) {
	err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag is not defined
	}
}

// exactly wants n arguments, which the usage line describes.
func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usageError{fmt.Errorf("%d arguments instead of %d. The command is\n  %s", len(args), n, strings.TrimSuffix(c.UseLine(), " [flags]"))}
	}
}

// some wants at least one argument.
func some(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return exactly(1)(c, args)
	}
	return nil
}

// diagnose prints diagnostics, a blank line between them.
func diagnose(w io.Writer, ds eligen.Diagnostics) {
	for i, d := range ds {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprint(w, d)
	}
	annotate(w, ds)
}

// cacheDir is a folder below the user's cache of eligen.
func cacheDir(names ...string) (string, error) {
	dir := os.Getenv("ELIGEN_CACHE_DIR")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no folder for results: %w. Set ELIGEN_CACHE_DIR", err)
		}
		dir = filepath.Join(user, "eligen")
	}
	dir, err := filepath.Abs(dir)
	return filepath.Join(append([]string{dir}, names...)...), err
}
