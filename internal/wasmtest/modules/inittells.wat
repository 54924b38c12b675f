;; Tells the host something before anybody has called it.
(module (import "env" "tell" (func $tell (param i32))) (memory (export "memory") 1)
  (func (export "_initialize") (call $tell (i32.const 4711))) (func (export "again") (call $tell (i32.const 4712))))
