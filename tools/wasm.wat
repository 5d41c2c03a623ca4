;; Masking (RFC 6455 section 5.3) and decoding of text (section 8.1), on the memory that sockets are
;; read into and the output slabs live in. `node tools/wasm.mjs` turns this into lib/wasm-code.ts;
;; a test compares the two. What it exports has names of one letter, for they are in it twice.
(module
  ;; 16 slabs, the read buffer, and the UTF-16 made of it, which takes twice as much, of 65 KiB each;
  ;; and some for what is loaded behind the end. Of fixed size: growing would detach the views on it.
  (memory (export "m") 20 20)

  ;; Masks what is at $from, and puts it to $at; the key is little-endian. The two may be the same.
  (func $mask (export "k") (param $at i32) (param $from i32) (param $length i32) (param $key i32)
    (local $end i32)
    (local $keys v128)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (local.set $keys (i32x4.splat (local.get $key)))
    (loop $next48
      (if (i32.le_u (i32.add (local.get $at) (i32.const 48)) (local.get $end))
        (then
          (v128.store offset=0 (local.get $at) (v128.xor (local.get $keys) (v128.load offset=0 (local.get $from))))
          (v128.store offset=16 (local.get $at) (v128.xor (local.get $keys) (v128.load offset=16 (local.get $from))))
          (v128.store offset=32 (local.get $at) (v128.xor (local.get $keys) (v128.load offset=32 (local.get $from))))
          (local.set $at (i32.add (local.get $at) (i32.const 48)))
          (local.set $from (i32.add (local.get $from) (i32.const 48)))
          (br $next48))))
    (loop $next16
      (if (i32.le_u (i32.add (local.get $at) (i32.const 16)) (local.get $end))
        (then
          (v128.store (local.get $at) (v128.xor (local.get $keys) (v128.load (local.get $from))))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (local.set $from (i32.add (local.get $from) (i32.const 16)))
          (br $next16))))
    (loop $next4
      (if (i32.le_u (i32.add (local.get $at) (i32.const 4)) (local.get $end))
        (then
          (i32.store (local.get $at) (i32.xor (local.get $key) (i32.load (local.get $from))))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (local.set $from (i32.add (local.get $from) (i32.const 4)))
          (br $next4))))
    (loop $next1
      (if (i32.lt_u (local.get $at) (local.get $end))
        (then
          (i32.store8 (local.get $at) (i32.xor (local.get $key) (i32.load8_u (local.get $from))))
          (local.set $key (i32.shr_u (local.get $key) (i32.const 8)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $from (i32.add (local.get $from) (i32.const 1)))
          (br $next1)))))

  ;; Puts payloads, which lie one behind the other at $from, into the frames from $at to $end, masked.
  ;; The frames have their headers, of less than 64 KiB each.
  (func (export "f") (param $at i32) (param $end i32) (param $from i32)
    (local $length i32)
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $end))
        (then
          (local.set $length (i32.and (i32.load8_u offset=1 (local.get $at)) (i32.const 0x7f)))
          (if (i32.eq (local.get $length) (i32.const 126))
            (then
              (local.set $length
                (i32.or
                  (i32.shl (i32.load8_u offset=2 (local.get $at)) (i32.const 8))
                  (i32.load8_u offset=3 (local.get $at))))
              (local.set $at (i32.add (local.get $at) (i32.const 2)))))
          (call $mask
            (local.tee $at (i32.add (local.get $at) (i32.const 6)))
            (local.get $from)
            (local.get $length)
            (i32.load (i32.sub (local.get $at) (i32.const 4))))
          (local.set $at (i32.add (local.get $at) (local.get $length)))
          (local.set $from (i32.add (local.get $from) (local.get $length)))
          (br $next)))))

  ;; Whether there are only ASCII characters before the end.
  (func (export "a") (param $at i32) (param $end i32) (result i32)
    (local $bits v128)
    (loop $next16
      (if (i32.le_u (i32.add (local.get $at) (i32.const 16)) (local.get $end))
        (then
          (local.set $bits (v128.or (local.get $bits) (v128.load (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $next16))))
    (loop $next1
      (if (i32.lt_u (local.get $at) (local.get $end))
        (then
          (local.set $bits (v128.or (local.get $bits) (v128.load8_splat (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next1))))
    (i32.eqz (i8x16.bitmask (local.get $bits))))

  ;; Turns UTF-8 into UTF-16 (RFC 3629 section 4). Gives where the latter ends, or 0 where the former
  ;; is not valid: overlong, a surrogate, above U+10FFFF, or cut off.
  (func (export "d") (param $at i32) (param $end i32) (param $out i32) (result i32)
    (local $word i32)
    (local $char i32)
    (local $bytes v128)
    (block $invalid
      (loop $next
        (if (i32.lt_u (local.get $at) (local.get $end))
          (then
            (local.set $word (i32.load (local.get $at)))
            ;; Three bytes first: of all that is not ASCII there is most of these.
            (if (i32.eq (i32.and (local.get $word) (i32.const 0xc0c0f0)) (i32.const 0x8080e0))
              (then
                (local.set $at (i32.add (local.get $at) (i32.const 3)))
                (local.set $char
                  (i32.or
                    (i32.or
                      (i32.shl (i32.and (local.get $word) (i32.const 0xf)) (i32.const 12))
                      (i32.and (i32.shr_u (local.get $word) (i32.const 2)) (i32.const 0xfc0)))
                    (i32.and (i32.shr_u (local.get $word) (i32.const 16)) (i32.const 0x3f))))
                (br_if $invalid
                  (i32.or
                    (i32.lt_u (local.get $char) (i32.const 0x800))
                    (i32.eq (i32.and (local.get $char) (i32.const 0xf800)) (i32.const 0xd800)))))
              (else
                (if (i32.lt_u (i32.and (local.get $word) (i32.const 0xff)) (i32.const 0x80))
                  (then
                    (if (i32.le_u (i32.add (local.get $at) (i32.const 16)) (local.get $end))
                      (then
                        (local.set $bytes (v128.load (local.get $at)))
                        (if (i32.eqz (i8x16.bitmask (local.get $bytes)))
                          (then
                            (v128.store offset=0 (local.get $out) (i16x8.extend_low_i8x16_u (local.get $bytes)))
                            (v128.store offset=16 (local.get $out) (i16x8.extend_high_i8x16_u (local.get $bytes)))
                            (local.set $at (i32.add (local.get $at) (i32.const 16)))
                            (local.set $out (i32.add (local.get $out) (i32.const 32)))
                            (br $next)))))
                    (local.set $char (i32.and (local.get $word) (i32.const 0xff)))
                    (local.set $at (i32.add (local.get $at) (i32.const 1))))
                  (else
                    (if (i32.eq (i32.and (local.get $word) (i32.const 0xc0e0)) (i32.const 0x80c0))
                      (then
                        (local.set $char
                          (i32.or
                            (i32.shl (i32.and (local.get $word) (i32.const 0x1f)) (i32.const 6))
                            (i32.and (i32.shr_u (local.get $word) (i32.const 8)) (i32.const 0x3f))))
                        (br_if $invalid (i32.lt_u (local.get $char) (i32.const 0x80)))
                        (local.set $at (i32.add (local.get $at) (i32.const 2))))
                      (else
                        (br_if $invalid (i32.ne (i32.and (local.get $word) (i32.const 0xc0c0c0f8)) (i32.const 0x808080f0)))
                        ;; Less 0x10000, as a pair of surrogates carries it.
                        (local.set $char
                          (i32.sub
                            (i32.or
                              (i32.or
                                (i32.shl (i32.and (local.get $word) (i32.const 0x7)) (i32.const 18))
                                (i32.and (i32.shl (local.get $word) (i32.const 4)) (i32.const 0x3f000)))
                              (i32.or
                                (i32.and (i32.shr_u (local.get $word) (i32.const 10)) (i32.const 0xfc0))
                                (i32.and (i32.shr_u (local.get $word) (i32.const 24)) (i32.const 0x3f))))
                            (i32.const 0x10000)))
                        (br_if $invalid (i32.gt_u (local.get $char) (i32.const 0xfffff)))
                        (i32.store16
                          (local.get $out)
                          (i32.or (i32.const 0xd800) (i32.shr_u (local.get $char) (i32.const 10))))
                        (local.set $out (i32.add (local.get $out) (i32.const 2)))
                        (local.set $char
                          (i32.or (i32.const 0xdc00) (i32.and (local.get $char) (i32.const 0x3ff))))
                        (local.set $at (i32.add (local.get $at) (i32.const 4)))))))))
            (i32.store16 (local.get $out) (local.get $char))
            (local.set $out (i32.add (local.get $out) (i32.const 2)))
            (br $next))))
      ;; A character that the end cuts off has led beyond it.
      (br_if $invalid (i32.gt_u (local.get $at) (local.get $end)))
      (return (local.get $out)))
    (i32.const 0)))
