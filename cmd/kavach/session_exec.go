package main

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
)

// execParams are the params of exec.
type execParams struct {
	Args       []string          `json:"args"`
	Entrypoint bool              `json:"entrypoint"` // Args stand behind the image's entrypoint, and are its own where there are none
	Env        map[string]string `json:"env"`
	Dir        string            `json:"dir"`
	TimeoutMS  int64             `json:"timeout_ms"`
	Stdin      bool              `json:"stdin"`    // whether stdin requests follow; else it is /dev/null
	Terminal   json.RawMessage   `json:"terminal"` // of terminalParams; absent: none

	Credentials []string `json:"credentials"` // names of the sandbox's; absent: all
}

// terminalParams are the size of a terminal.
type terminalParams struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// execResult is the result of exec: what the command is called from now on.
type execResult struct {
	Exec int `json:"exec"`
}

// sessionExec is a command that runs.
type sessionExec struct {
	process  *kavach.Process
	input    *execInput // nil: /dev/null
	terminal bool
}

// exec starts a command. It replies for itself, because the reply comes before
// the first event of the command.
func (s *session) exec(r request) (any, error) {
	var params execParams
	if err := decode("params", r.Params, &params); err != nil {
		return nil, err
	}
	if s.sandbox == nil {
		return nil, noSandbox()
	}
	if params.Entrypoint {
		i := s.sandbox.Image()
		if params.Args = i.Config.Command(params.Args); len(params.Args) == 0 && i.Ref != "" {
			return nil, refusef(errParams, "params.args: image %s does not say what to run", i.Ref)
		}
	}
	if err := params.checkCredentials(s.sandbox.Policy().Credentials); err != nil {
		return nil, err
	}
	cmd, err := params.command()
	if err != nil {
		return nil, err
	}
	number := s.count + 1
	replied := make(chan struct{})
	stdout := &execOutput{wire: s.wire, replied: replied, event: "stdout", exec: number}
	stderr := &execOutput{wire: s.wire, replied: replied, event: "stderr", exec: number}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if cmd.Terminal != nil {
		cmd.Stderr = nil // it shows both
	}
	e := &sessionExec{terminal: cmd.Terminal != nil}
	if params.Stdin {
		e.input = newExecInput()
		cmd.Stdin = e.input
	}
	if e.process, err = s.sandbox.Start(s.ctx, cmd); err != nil {
		close(replied)
		return nil, err
	}
	s.count = number
	s.mu.Lock()
	s.execs[number] = e
	s.mu.Unlock()
	s.wire.reply(r.ID, execResult{number}, nil)
	close(replied)
	s.running.Go(func() { s.await(number, e, stdout, stderr) })
	return later{}, nil
}

func (p *execParams) command() (kavach.Cmd, error) {
	cmd := kavach.Cmd{Args: p.Args, Dir: p.Dir, Credentials: p.Credentials, Timeout: time.Duration(p.TimeoutMS) * time.Millisecond}
	if len(p.Args) == 0 || p.Args[0] == "" {
		return cmd, refusef(errParams, `params.args: expected a command and its arguments, such as ["echo", "hi"]`)
	}
	const longest = int64(1<<63-1) / int64(time.Millisecond)
	if p.TimeoutMS < 0 || p.TimeoutMS > longest {
		return cmd, refusef(errParams, "params.timeout_ms: %d is out of range; leave it out for the policy's", p.TimeoutMS)
	}
	for _, key := range slices.Sorted(maps.Keys(p.Env)) {
		kv := key + "=" + p.Env[key]
		if err := checkEnv(kv); err != nil {
			return cmd, refusef(errParams, "params.env[%q]: %v", key, err)
		}
		cmd.Env = append(cmd.Env, kv)
	}
	if p.hasTerminal() {
		var size terminalParams
		if err := decode("params.terminal", p.Terminal, &size); err != nil {
			return cmd, err
		}
		cmd.Terminal = &backend.WindowSize{Rows: size.Rows, Cols: size.Cols}
	}
	return cmd, nil
}

// exitEvent is the last event of a command.
type exitEvent struct {
	Event string `json:"event"`
	Exec  int    `json:"exec"`
	outcome
	Error string `json:"error,omitempty"`
}

// await waits for the end of a command and tells of it.
func (s *session) await(number int, e *sessionExec, outputs ...*execOutput) {
	res, err := e.process.Wait(s.ctx)
	if e.input != nil {
		e.input.close(errInputEnded)
	}
	for _, o := range outputs {
		o.flush()
	}
	s.mu.Lock()
	delete(s.execs, number)
	s.mu.Unlock()
	event := exitEvent{Event: "exit", Exec: number}
	switch {
	case res == nil:
		res = &kavach.Result{ExitCode: codeFailed}
	case errors.Is(err, backend.ErrDestroyed):
		res.Signal = syscall.SIGKILL // which is how a sandbox ends what is in it
	}
	event.outcome = newOutcome(res, codeOf(res))
	if err != nil {
		event.Error = asSessionError(err).Message
	}
	s.wire.send(event)
}

// find returns a command that runs.
func (s *session) find(number int) (*sessionExec, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.execs[number]; e != nil {
		return e, nil
	}
	if number >= 1 && number <= s.count {
		return nil, refusef(errNoExec, "command %d has ended", number)
	}
	return nil, refusef(errNoExec, "there is no command %d; exec says the numbers", number)
}

// execOutput sends one stream of a command as events. It is written to by one
// goroutine, and flushed when that is done.
type execOutput struct {
	wire    *wire
	replied <-chan struct{}
	event   string
	exec    int
	held    []byte // the beginning of a rune whose end is yet to come
}

// outputEvent is a piece of output: as text, or where it is none, as bytes.
type outputEvent struct {
	Event string  `json:"event"`
	Exec  int     `json:"exec"`
	Data  *string `json:"data,omitempty"`
	Bytes []byte  `json:"data_base64,omitempty"`
}

func (o *execOutput) Write(p []byte) (int, error) {
	<-o.replied
	all := append(o.held, p...)
	whole := len(all) - incomplete(all)
	if !utf8.Valid(all[:whole]) {
		whole = len(all) // not text: there is nothing to put together
	}
	o.send(all[:whole])
	o.held = slices.Clone(all[whole:])
	return len(p), nil
}

func (o *execOutput) flush() {
	o.send(o.held)
	o.held = nil
}

func (o *execOutput) send(b []byte) {
	if len(b) == 0 {
		return
	}
	event := outputEvent{Event: o.event, Exec: o.exec}
	if utf8.Valid(b) {
		text := string(b)
		event.Data = &text
	} else {
		event.Bytes = b
	}
	o.wire.send(event)
}

// incomplete is how many bytes at the end of b begin a rune and do not end it.
func incomplete(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		tail := b[len(b)-n:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
