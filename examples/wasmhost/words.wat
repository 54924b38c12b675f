;; A plugin: counts the words of a text, and tells the host how many it found so far.
(module
  (import "host" "progress" (func $progress (param i32)))
  (memory (export "memory") 16)
  (func (export "words") (param $at i32) (param $n i32) (result i32)
    (local $end i32) (local $count i32) (local $inside i32) (local $c i32)
    (local.set $end (i32.add (local.get $at) (local.get $n)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $c (i32.load8_u (local.get $at)))
      (if (i32.le_u (local.get $c) (i32.const 32))
        (then (local.set $inside (i32.const 0)))
        (else (if (i32.eqz (local.get $inside)) (then
          (local.set $inside (i32.const 1))
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (call $progress (local.get $count))))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (local.get $count)))
