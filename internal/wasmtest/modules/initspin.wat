;; Never ends its own start.
(module (memory (export "memory") 1) (func (export "_initialize") (loop br 0)))
