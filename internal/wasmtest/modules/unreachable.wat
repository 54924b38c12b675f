(module (memory (export "memory") 1) (func $f unreachable) (func (export "_start") call $f))
