package wasmwire

import "github.com/kavach-dev/kavach/internal/wire"

type (
	encoder = wire.Encoder
	decoder = wire.Decoder
)

func (*Setup) Kind() uint8      { return kindSetup }
func (*Load) Kind() uint8       { return kindLoad }
func (*Want) Kind() uint8       { return kindWant }
func (*Code) Kind() uint8       { return kindCode }
func (*Compile) Kind() uint8    { return kindCompile }
func (*Run) Kind() uint8        { return kindRun }
func (*Serve) Kind() uint8      { return kindServe }
func (*Call) Kind() uint8       { return kindCall }
func (*Renew) Kind() uint8      { return kindRenew }
func (*Read) Kind() uint8       { return kindRead }
func (*Write) Kind() uint8      { return kindWrite }
func (*HostReturn) Kind() uint8 { return kindHostReturn }
func (*Hello) Kind() uint8      { return kindHello }
func (*Found) Kind() uint8      { return kindFound }
func (*Written) Kind() uint8    { return kindWritten }
func (*Loaded) Kind() uint8     { return kindLoaded }
func (*Compiled) Kind() uint8   { return kindCompiled }
func (*Started) Kind() uint8    { return kindStarted }
func (*Ended) Kind() uint8      { return kindEnded }
func (*Ready) Kind() uint8      { return kindReady }
func (*Returned) Kind() uint8   { return kindReturned }
func (*HostCall) Kind() uint8   { return kindHostCall }
func (*Data) Kind() uint8       { return kindData }
func (*Failed) Kind() uint8     { return kindFailed }

func (f *Setup) Encode(e *encoder) { e.Str(string(f.Filter)); e.Str(f.Dir); e.Bool(f.Links) }
func (f *Setup) Decode(d *decoder) { f.Filter, f.Dir, f.Links = d.Bytes(), d.Str(), d.Bool() }

func (f *Hello) Encode(e *encoder) { e.U32(f.Exec); e.U32(f.Socket); e.U32(f.Filter) }
func (f *Hello) Decode(d *decoder) { f.Exec, f.Socket, f.Filter = d.U32(), d.U32(), d.U32() }

func (f *Load) Encode(e *encoder) { e.Str(f.Name); e.Str(f.Path); e.Str(f.Dir) }
func (f *Load) Decode(d *decoder) { f.Name, f.Path, f.Dir = d.Str(), d.Str(), d.Str() }

func (f *Found) Encode(e *encoder) { e.Str(f.Digest); e.U64(f.Size); e.Bool(f.Kept) }
func (f *Found) Decode(d *decoder) { f.Digest, f.Size, f.Kept = d.Str(), d.U64(), d.Bool() }

func (*Want) Encode(*encoder)    {}
func (*Want) Decode(*decoder)    {}
func (*Written) Encode(*encoder) {}
func (*Written) Decode(*decoder) {}
func (*Compile) Encode(*encoder) {}
func (*Compile) Decode(*decoder) {}
func (*Started) Encode(*encoder) {}
func (*Started) Decode(*decoder) {}
func (*Renew) Encode(*encoder)   {}
func (*Renew) Decode(*decoder)   {}

func (f *Code) Encode(e *encoder)     { e.Str(f.Name) }
func (f *Code) Decode(d *decoder)     { f.Name = d.Str() }
func (f *Compiled) Encode(e *encoder) { e.Str(f.Name); e.U64(f.Size) }
func (f *Compiled) Decode(d *decoder) { f.Name, f.Size = d.Str(), d.U64() }
func (*Loaded) Encode(*encoder)       {}
func (*Loaded) Decode(*decoder)       {}

func (f *Run) Encode(e *encoder) { f.Config.encode(e) }
func (f *Run) Decode(d *decoder) { f.Config.decode(d) }

func (f *Ended) Encode(e *encoder) { e.Bool(f.OutOfMemory); e.Str(f.Reason) }
func (f *Ended) Decode(d *decoder) { f.OutOfMemory, f.Reason = d.Bool(), d.Str() }

func (f *Serve) Encode(e *encoder) { f.Config.encode(e); encodeFunctions(e, f.Functions) }
func (f *Serve) Decode(d *decoder) { f.Config.decode(d); f.Functions = decodeFunctions(d) }
func (f *Ready) Encode(e *encoder) { encodeFunctions(e, f.Functions) }
func (f *Ready) Decode(d *decoder) { f.Functions = decodeFunctions(d) }

func (f *Call) Encode(e *encoder) { e.Str(f.Name); encodeValues(e, f.Args) }
func (f *Call) Decode(d *decoder) { f.Name, f.Args = d.Str(), decodeValues(d) }

func (f *Returned) Encode(e *encoder) {
	encodeValues(e, f.Results)
	e.Str(f.Trap)
	e.Bool(f.OutOfMemory)
	e.Bool(f.Exited)
	e.U32(f.Code)
}

func (f *Returned) Decode(d *decoder) {
	f.Results, f.Trap, f.OutOfMemory, f.Exited, f.Code = decodeValues(d), d.Str(), d.Bool(), d.Bool(), d.U32()
}

func (f *HostCall) Encode(e *encoder)   { e.U32(f.Index); encodeValues(e, f.Args) }
func (f *HostCall) Decode(d *decoder)   { f.Index, f.Args = d.U32(), decodeValues(d) }
func (f *HostReturn) Encode(e *encoder) { encodeValues(e, f.Results); e.Str(f.Failed) }
func (f *HostReturn) Decode(d *decoder) { f.Results, f.Failed = decodeValues(d), d.Str() }

func (f *Read) Encode(e *encoder)  { e.U32(f.Offset); e.U32(f.Size) }
func (f *Read) Decode(d *decoder)  { f.Offset, f.Size = d.U32(), d.U32() }
func (f *Write) Encode(e *encoder) { e.U32(f.Offset); e.Str(string(f.Data)) }
func (f *Write) Decode(d *decoder) { f.Offset, f.Data = d.U32(), d.Bytes() }
func (f *Data) Encode(e *encoder)  { e.Bool(f.OK); e.Str(string(f.Bytes)) }
func (f *Data) Decode(d *decoder)  { f.OK, f.Bytes = d.Bool(), d.Bytes() }

func (f *Failed) Encode(e *encoder) { e.Str(f.Step); e.Str(f.Reason); e.U32(f.Errno) }
func (f *Failed) Decode(d *decoder) { f.Step, f.Reason, f.Errno = d.Str(), d.Str(), d.U32() }

func (c *Config) encode(e *encoder) {
	wire.EncodeList(e, c.Args, e.Str)
	wire.EncodeList(e, c.Env, e.Str)
	e.Str(c.Dir)
	wire.EncodeList(e, c.Preopens, func(p Preopen) { e.Str(p.Base); e.Str(p.Path); e.Str(p.Name) })
	e.U64(c.Memory)
	e.Bool(c.FixedClock)
	e.I64(c.Clock)
	e.Str(c.Seed)
	e.Bool(c.Stdio)
	wire.EncodeList(e, c.Given, func(g Given) { e.Str(g.Name); e.U32(g.Length) })
}

func (c *Config) decode(d *decoder) {
	c.Args, c.Env, c.Dir = wire.DecodeList(d, 4, d.Str), wire.DecodeList(d, 4, d.Str), d.Str()
	c.Preopens = wire.DecodeList(d, 12, func() Preopen { return Preopen{d.Str(), d.Str(), d.Str()} })
	c.Memory, c.FixedClock, c.Clock, c.Seed, c.Stdio = d.U64(), d.Bool(), d.I64(), d.Str(), d.Bool()
	c.Given = wire.DecodeList(d, 8, func() Given { return Given{d.Str(), d.U32()} })
}

func encodeFunctions(e *encoder, list []Function) {
	wire.EncodeList(e, list, func(f Function) {
		e.Str(f.Module)
		e.Str(f.Name)
		e.Str(string(f.Params))
		e.Str(string(f.Results))
	})
}

func decodeFunctions(d *decoder) []Function {
	return wire.DecodeList(d, 16, func() Function { return Function{d.Str(), d.Str(), d.Bytes(), d.Bytes()} })
}

func encodeValues(e *encoder, values []uint64) { wire.EncodeList(e, values, e.U64) }
func decodeValues(d *decoder) []uint64         { return wire.DecodeList(d, 8, d.U64) }
