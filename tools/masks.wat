;; The masking of RFC 6455 section 5.3, in place, on the memory that the output slabs live in.
;; `node tools/masks-wasm.mjs` turns this into lib/masks-wasm.ts; a test compares the two.
(module
  ;; 16 slabs of 64 KiB. Of fixed size: growing would detach the views on it.
  (memory (export "memory") 16 16)
  (func (export "mask") (param $at i32) (param $length i32) (param $key i32)
    (local $end i32)
    (local $keys v128)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (local.set $keys (i32x4.splat (local.get $key)))
    (block $done64
      (loop $next64
        (br_if $done64 (i32.gt_u (i32.add (local.get $at) (i32.const 64)) (local.get $end)))
        (v128.store offset=0 (local.get $at) (v128.xor (local.get $keys) (v128.load offset=0 (local.get $at))))
        (v128.store offset=16 (local.get $at) (v128.xor (local.get $keys) (v128.load offset=16 (local.get $at))))
        (v128.store offset=32 (local.get $at) (v128.xor (local.get $keys) (v128.load offset=32 (local.get $at))))
        (v128.store offset=48 (local.get $at) (v128.xor (local.get $keys) (v128.load offset=48 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $next64)))
    (block $done16
      (loop $next16
        (br_if $done16 (i32.gt_u (i32.add (local.get $at) (i32.const 16)) (local.get $end)))
        (v128.store (local.get $at) (v128.xor (local.get $keys) (v128.load (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next16)))
    (block $done4
      (loop $next4
        (br_if $done4 (i32.gt_u (i32.add (local.get $at) (i32.const 4)) (local.get $end)))
        (i32.store (local.get $at) (i32.xor (local.get $key) (i32.load (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $next4)))
    (block $done1
      (loop $next1
        (br_if $done1 (i32.ge_u (local.get $at) (local.get $end)))
        (i32.store8 (local.get $at) (i32.xor (local.get $key) (i32.load8_u (local.get $at))))
        (local.set $key (i32.shr_u (local.get $key) (i32.const 8)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next1)))))
