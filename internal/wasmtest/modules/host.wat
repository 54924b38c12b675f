;; Asks the host.
(module
  (import "env" "scale" (func $scale (param i32 f64) (result f64)))
  (import "env" "log" (func $log (param i32 i32)))
  (import "env" "fail" (func $fail))
  (memory (export "memory") 1)
  (data (i32.const 100) "a word for the host")
  (func (export "scaled") (param i32 f64) (result f64) (call $scale (local.get 0) (local.get 1)))
  (func (export "tell") (call $log (i32.const 100) (i32.const 19)))
  (func (export "wrong") (call $log (i32.const 65530) (i32.const 100)))
  (func (export "fails") (call $fail)))
