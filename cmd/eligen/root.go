package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/fetch"
	"github.com/eligen/eligen/internal/bug"
	"github.com/eligen/eligen/internal/page"
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

// run runs the whole program. It returns the exit code.
func run(args []string) int {
	if noColor(args) {
		os.Setenv("NO_COLOR", "1") // before anything looks, help included
	}
	ctx, interrupt := listen()
	ctx = context.WithValue(ctx, interruptKey{}, interrupt)
	l := &leaving{}
	ctx = context.WithValue(ctx, leavingKey{}, l)
	page.Prepare(os.Stdout, os.Stderr)
	out, errs := page.NewWriter(os.Stdout, os.Getenv), page.NewWriter(os.Stderr, os.Getenv)
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := l.supervise(ctx, func() error { return flagged(together(root.ExecuteContext(ctx))) })
	if failed := unwritten(out); failed != nil && (err == nil || errors.Is(err, out.Err()) || exitCode(ctx, err) == exitChanges) {
		err = failed
	}
	report(errs, err)
	return exitCode(ctx, err)
}

// unwritten returns why standard output isn't complete, or nil.
func unwritten(out *page.Writer) error {
	var path *fs.PathError
	if err := out.Err(); errors.As(err, &path) {
		return fmt.Errorf("standard output can't be written: %w", path.Err)
	} else if err != nil {
		return err
	}
	return nil
}

// noColor reports whether --no-color is among the arguments. What follows a wrong flag
// is never parsed, and the message about it is coloured or not, too.
func noColor(args []string) bool {
	off := false
	for _, a := range args {
		switch value, ok := strings.CutPrefix(a, "--no-color="); {
		case a == "--":
			return off
		case a == "--no-color":
			off = true
		case ok:
			off, _ = strconv.ParseBool(value) // a wrong value is an error when it is parsed
		}
	}
	return off
}

// newRoot returns the command tree.
func newRoot() *cobra.Command {
	cobra.EnableCommandSorting = false // help lists them in the order of use
	root := family(&cobra.Command{
		Use:     "eligen",
		Version: eligen.Version,
		Short:   "Render pictures, each entity in its own region",
		Long: `Render pictures, each entity in its own region.

A scene file names entities, each with a prompt and a region. eligen plans the work, runs a FLUX model with
EliGen's regional attention, and writes a picture or a clip.`,
		Example: `# render a scene
eligen apply scenes/rain.hcl
# show what apply would do
eligen plan scenes/rain.hcl
# install the faster backend
eligen backend install xla:cpu`,
		SilenceUsage: true, SilenceErrors: true, // run reports them
	})
	root.SetHelpFunc(help)
	root.SetFlagErrorFunc(wrongFlag)
	root.SetHelpCommand(newHelp())
	root.PersistentFlags().Bool("no-color", false, "no colours (or set NO_COLOR)")
	group := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("scene", "Scenes", newNew(), newImport(), newLayoutExport(), newInit(), newApply(), newPlan(), newGraph(), newKeys(),
		newPreview(), newReplay(), newValidate(), newFmt(), newShow(), newDiff(), newVerify(), newConsole(), newExplain(), newCache(),
		newQueue(), newWorker(), newWorkers())
	group("machine", "Models and machine", newSetup(), newBackend(), newModels(), newSchema(), newVersion())
	group("train", "Training", newTrain(), newTrainDevice(), newEval(), newDataset())
	group("topic", "Topics",
		helpTopic("environment", "Environment variables that eligen reads", helpEnvironment),
		helpTopic("exit-codes", "Meaning of the exit codes", helpExitCodes),
	)
	for _, frontEnd := range []*cobra.Command{newStudio(), newMCP()} {
		frontEnd.GroupID = "scene"
		root.AddCommand(frontEnd)
	}
	root.SetHelpCommandGroupID("topic")
	root.SetCompletionCommandGroupID("topic")
	root.InitDefaultCompletionCmd()
	completionExamples(root)
	return root
}

// helpTopic returns a page of help: words, each with its meaning.
func helpTopic(name, short string, words [][2]string) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short}
	c.SetHelpFunc(func(c *cobra.Command, _ []string) {
		fmt.Fprintf(c.OutOrStdout(), "%s.\n", short)
		var rows [][]string
		for _, w := range words {
			rows = append(rows, []string{"  " + page.Name.Of(w[0]), w[1]})
		}
		section(c.OutOrStdout(), strings.ToUpper(name[:1])+strings.ReplaceAll(name[1:], "-", " "), rows, page.Prose(c.OutOrStdout()))
	})
	return c
}

var helpEnvironment = [][2]string{
	{"ELIGEN_CACHE_DIR", "folder of the store, journals, downloads and the console's history (default eligen in the user's cache folder)"},
	{"ELIGEN_TF32", "true has graphics cards round products of float32 to TF32, which is faster"},
	{"ELIGEN_CACHE", "URL of a cache of results that machines share, to use without --cache"},
	{"AWS_ACCESS_KEY_ID, AWS_PROFILE", "credentials of a cache at s3://, with AWS_SECRET_ACCESS_KEY, as AWS's programs take them"},
	{"AWS_REGION", "region of a cache at s3://"},
	{"AZURE_STORAGE_ACCOUNT", "account of a cache at azblob://, whose key is in AZURE_STORAGE_KEY"},
	{"AZURE_STORAGE_CONNECTION_STRING", "account and credentials of a cache at azblob://"},
	{"ELIGEN_QUEUE", "URL of a queue that machines share work through, to use without --queue"},
	{"ELIGEN_QUEUE_CREDS, ELIGEN_QUEUE_CA", "files of credentials for the queue and of the authority that signed its certificate"},
	{"OTEL_EXPORTER_OTLP_ENDPOINT", "URL of a receiver of OpenTelemetry's traces and metrics; none: nothing is sent"},
	{"OTEL_EXPORTER_OTLP_PROTOCOL", "protocol of the receiver: http/protobuf (default) or grpc"},
	{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "URL for traces alone, whose protocol is in OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"},
	{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "URL for metrics alone, whose protocol is in OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"},
	{"OTEL_BSP_MAX_QUEUE_SIZE", "number of spans that may wait to be sent (default 65536)"},
	{"OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER", "none: send no traces, or no metrics; otlp: to the default receiver, localhost"},
	{"OTEL_SDK_DISABLED", "true: send nothing. All of the SDK's other variables hold, such as OTEL_EXPORTER_OTLP_HEADERS"},
	{"TRACEPARENT", "trace that runs belong to, as W3C writes it"},
	{"ELIGEN_PLUGIN_DIR", "folder of XLA plugins (default eligen/plugins in the user's cache folder)"},
	{"ELIGEN_PROGRAMS", "false has XLA compile all graphs anew, and keeps none in the folder programs of ELIGEN_CACHE_DIR"},
	{"ELIGEN_NANO_DIR", "folder of the model nano (default the embedded one)"},
	{"ELIGEN_COMFYUI", "folder of ComfyUI, or several, to find weights in (default where its installers put it)"},
	{"ELIGEN_VAR_name", "value of the scene variable \"name\""},
	{"ELIGEN_LLM_KEY", "key for the language model of eligen new and dataset annotate (default the variable OPENAI_API_KEY)"},
	{"GOMLX_BACKEND", "backend to use without --backend"},
	{"XLA_FLAGS", "compiler flags for XLA; results made with other flags are not reused"},
	{"GOMAXPROCS", "number of threads that the Go backend uses"},
	{"NO_COLOR", "any value: no colours"},
	{"TERM", "dumb: no colours, and progress as plain lines"},
	{"TERM_PROGRAM, TMUX, STY", "which terminal it is: pictures in kitty's protocol, or in blocks"},
	{"CI", "any value: progress as plain lines"},
	{"GITHUB_ACTIONS", "true: diagnostics are also printed as annotations"},
	{"LC_ALL, LC_CTYPE, LANG", "the first one set is not UTF-8: a screen in ASCII"},
	{"HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "proxy for downloads, and hosts without one"},
	{"HF_TOKEN, HUGGING_FACE_HUB_TOKEN", "access token for gated and private models on Hugging Face"},
	{"HF_TOKEN_PATH", "file of the access token (default token in HF_HOME)"},
	{"HF_HOME, XDG_CACHE_HOME", "folder of Hugging Face's files (default huggingface in XDG_CACHE_HOME or ~/.cache)"},
	{"HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE", "folder of downloaded models (default hub in HF_HOME)"},
	{"HF_ENDPOINT", "address of the hub or of a mirror (default https://huggingface.co)"},
	{"HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE", "1: send no request to a hub"},
	{"HF_HUB_DISABLE_SYMLINKS", "1: snapshots in the folder of downloaded models hold files, and not links"},
	{"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1: take no access token from a file"},
	{"MODELSCOPE_CACHE", "folder of models from ModelScope (default ~/.cache/modelscope)"},
	{"MODELSCOPE_ENDPOINT, MODELSCOPE_DOMAIN", "address of ModelScope (default https://modelscope.cn)"},
	{"MODELSCOPE_API_TOKEN", "access token for private models on ModelScope"},
	{"npm_config_registry, PIP_INDEX_URL", "registries to download from (default those in the files below)"},
	{"npm_config_userconfig, PIP_CONFIG_FILE", "configuration of npm and pip to read (default ~/.npmrc and pip.conf)"},
}

var helpExitCodes = [][2]string{
	{"0", "success"},
	{"1", "an error: in the scene, in the command line, or while running"},
	{"2", "apply would make something (plan --detailed-exitcode), or two files differ (diff --detailed-exitcode)"},
	{"3", "a scene's check failed, a file needs formatting (fmt --check), or the loss did not fall (train --smoke)"},
	{"4", "a picture differs from its record (verify)"},
	{"5", "locked by another process (reserved: no command of this release exits with it)"},
	{"6", "a file is not what it should be: weights or a download are damaged, or weights are not those of the lock file"},
	{"130", "interrupted (ctrl+c, SIGINT); finished work stays in the store"},
	{"143", "terminated (SIGTERM); finished work stays in the store"},
}

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

// exitCode returns the process's exit code after err.
func exitCode(ctx context.Context, err error) int {
	var e exit
	var integrity *app.IntegrityError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return interruptedBy(ctx)
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, fetch.ErrDigest), errors.As(err, &integrity):
		return exitIntegrity
	}
	return exitError
}

// answers is where a program that started this one reads its answers, byte by byte: no writer for people cleans them.
var answers = os.Stdout

// report prints an error for people: diagnostics as they are drawn, and the words
// around them in the same form.
func report(w io.Writer, err error) {
	var e exit
	if err == nil || errors.As(err, &e) && e.err == nil {
		return
	}
	if errors.Is(err, app.ErrUnfinished) {
		complain(w, app.ErrUnfinished.Error())
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "Interrupted. Finished work is kept. Run the same command to resume.")
		return
	}
	var b *bug.Error
	if errors.As(err, &b) {
		complain(w, fmt.Sprintf("%v.\n\nFinished work is kept. Please report this, with the scene if you can.", b))
		return
	}
	rest := worded(err)
	for i, ds := range diagnosed(err) {
		words, after, _ := strings.Cut(rest, ds.Error())
		if rest = after; i > 0 || strings.Trim(words, ": \n") != "" {
			complain(w, words)
			fmt.Fprintln(w)
		}
		diagnose(w, ds)
	}
	if strings.TrimSpace(rest) == "" {
		return
	}
	if len(rest) < len(worded(err)) {
		fmt.Fprintln(w)
	}
	var input *app.InputError
	if errors.As(err, &input) {
		rest += " [" + input.Code() + "]"
	}
	complain(w, rest)
	if usage(err) {
		fmt.Fprintf(w, "\nRun it with %s for help.\n", page.Name.Of("--help"))
	}
}

// worded returns the text of an error; what the system says of a file that can't be opened is in
// eligen's words.
func worded(err error) string {
	text := err.Error()
	var path *fs.PathError
	if !errors.As(err, &path) || path.Op != "open" && path.Op != "stat" && path.Op != "lstat" {
		return text
	}
	name := eligen.Printable(path.Path)
	switch {
	case errors.Is(path.Err, fs.ErrNotExist):
		return strings.Replace(text, path.Error(), "there is no file "+name, 1)
	case errors.Is(path.Err, fs.ErrPermission):
		return strings.Replace(text, path.Error(), name+" can't be read: you lack the permission", 1)
	}
	return text
}

// diagnosed returns the diagnostics that an error is made of, in the order of its text.
func diagnosed(err error) []eligen.Diagnostics {
	if ds, ok := err.(eligen.Diagnostics); ok {
		return []eligen.Diagnostics{ds}
	}
	var out []eligen.Diagnostics
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			out = diagnosed(inner)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			out = append(out, diagnosed(inner)...)
		}
	}
	return out
}

// complain prints words as an error.
func complain(w io.Writer, words string) {
	words = strings.TrimSpace(strings.Trim(words, ": \n"))
	if words == "" {
		return
	}
	text := page.WrapText("Error: "+words, page.Prose(w))
	fmt.Fprintf(w, "%s%s\n", page.Failed.Of("Error:"), strings.TrimPrefix(text, "Error:"))
}

// usage reports whether an error is about flags and arguments. Cobra gives such
// errors no type of their own.
func usage(err error) bool {
	var u usageError
	if errors.As(err, &u) {
		return true
	}
	for _, prefix := range []string{"flag needs", "unknown flag", "unknown shorthand", "unknown command", "invalid argument"} {
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
		return usageError{fmt.Errorf("got %d arguments, want %d. Usage:\n\n    %s", len(args), n, strings.TrimSuffix(c.UseLine(), " [flags]"))}
	}
}

// some wants at least one argument.
func some(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return exactly(1)(c, args)
	}
	return nil
}

// diagnose prints diagnostics, a blank line between them, and of many warnings of a
// kind the first few.
func diagnose(w io.Writer, ds eligen.Diagnostics) {
	ds = ds.Fold()
	for i, d := range ds {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprint(w, page.Diagnostic(d, page.Columns(w)))
	}
	annotate(w, ds)
}

// cacheDir returns the path of a folder below eligen's cache.
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
