// RUN: heddle-opt %s -split-input-file -verify-diagnostics

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{4 query heads do not divide over 3 KV heads}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 3 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x48xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{query has 48 features; 4 heads of 16 need 64}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x48xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x48xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x48xf32>) {
  // expected-error@+1 {{keys have 48 features; 2 KV heads of 16 need 32}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x48xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{needs both keys and values or neither}}
  %a = heddle.attention batch query(%q) keys(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>) {
  // expected-error@+1 {{source batch needs keys and values}}
  %a = heddle.attention batch query(%q) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{source paged takes no keys and values}}
  %a = heddle.attention paged query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>) {
  // expected-error@+1 {{source paged needs a state}}
  %a = heddle.attention paged query(%q) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

heddle.state paged @kv layers 1 heads 4 kv_heads 2 head_dim 16
func.func @f(%q: tensor<?x64xf32>) {
  // expected-error@+1 {{with a state needs a layer}}
  %a = heddle.attention paged query(%q) state @kv {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask causal>} : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{names no declared state: @kv}}
  %a = heddle.attention paged query(%q) state @kv layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask causal>} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state paged @kv layers 1 heads 4 kv_heads 4 head_dim 16
func.func @f(%q: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{differs from its state in heads, kv_heads or head_dim}}
  %a = heddle.attention paged query(%q) state @kv layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask causal>} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{mask window needs a positive window, other masks none}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask window>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{mask window needs a positive window, other masks none}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask causal>, window = 8 : i64} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{attribute 'soft_cap' failed to satisfy constraint: 32-bit float attribute above 0 and finite}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>, soft_cap = 0.0 : f32} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %b: index) {
  // expected-error@+1 {{needs [begin, end) of heads and of KV heads as shares}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) shares(%b, %b) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index, index) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{probes head 4 of 4}}
  %a:2 = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>, probe_heads = array<i64: 4>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> (tensor<?x64xf32>, tensor<?x1x?xf32>)
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{needs 2 results, not 1}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>, probe_heads = array<i64: 1>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %n: tensor<16xf32>) {
  // expected-error@+1 {{a head norm needs its weight and norm_eps}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) q_norm(%n) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<16xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %n: tensor<8xf32>) {
  // expected-error@+1 {{head norm has 8 elements; head_dim is 16}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) q_norm(%n) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>, norm_eps = 1.0e-5 : f32} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<8xf32>) -> tensor<?x64xf32>
  return
}

// -----

heddle.rope_table @r base 10000.0 dims 16 scale 1.0
func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{rope needs its table and its style}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>, rope = @r} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{names no declared RoPE table: @r}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>, rope = @r, style = #heddle<rope_style neox>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

heddle.state paged @kv layers 1 heads 4 kv_heads 2 head_dim 16
func.func @f(%k: tensor<?x48xf32>, %layer: index) {
  // expected-error@+1 {{keys and values must have 32 features, not 48}}
  heddle.store_kv keys(%k) values(%k) state @kv layer(%layer) {kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<?x48xf32>, tensor<?x48xf32>, index
  return
}

// -----

heddle.state paged @kv layers 1 heads 4 kv_heads 2 head_dim 16
func.func @f(%k: tensor<?x32xf32>, %layer: index) {
  // expected-error@+1 {{needs [begin, end) of KV heads as shares}}
  heddle.store_kv keys(%k) values(%k) state @kv layer(%layer) shares(%layer) {kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<?x32xf32>, tensor<?x32xf32>, index, index
  return
}

// -----

func.func @f(%k: tensor<?x32xf32>, %layer: index) {
  // expected-error@+1 {{names no declared state: @kv}}
  heddle.store_kv keys(%k) values(%k) state @kv layer(%layer) {kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<?x32xf32>, tensor<?x32xf32>, index
  return
}

// -----

heddle.rope_table @rope base 1.0e4 dims 32 scale 1.0
heddle.state paged @kv layers 1 heads 4 kv_heads 4 head_dim 16
func.func @f(%k: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{table rotates 32 dimensions of heads of 16}}
  heddle.store_kv keys(%k) values(%k) state @kv layer(%layer)
      {kv_heads = 4 : i64, head_dim = 16 : i64, rope = @rope, style = #heddle<rope_style neox>}
      : tensor<?x64xf32>, tensor<?x64xf32>, index
  return
}

// -----

heddle.state paged @kv layers 1 heads 4 kv_heads 4 head_dim 16
func.func @f(%q: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{a q8 result needs head_dim to be a multiple of 32, not 16}}
  %a = heddle.attention paged query(%q) state @kv layer(%layer)
      {heads = 4 : i64, kv_heads = 4 : i64, head_dim = 16 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (tensor<?x64xf32>, index) -> tensor<?x64x!heddle.q8>
  return
}

// -----

heddle.state paged @kv layers 1 heads 8 kv_heads 2 head_dim 16
func.func @f(%q: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{differs from its state in heads, kv_heads or head_dim}}
  %a = heddle.attention paged query(%q) state @kv layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask causal>} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state paged @kv layers 2 heads 4 kv_heads 2 head_dim 16
func.func @f(%q: tensor<?x64xf32>) {
  %layer = arith.constant 2 : index
  // expected-error@+1 {{layer 2 is none of the 2 of its state}}
  %a = heddle.attention paged query(%q) state @kv layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask causal>} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state paged @kv layers 2 heads 4 kv_heads 2 head_dim 16
func.func @f(%k: tensor<?x32xf32>) {
  %layer = arith.constant -1 : index
  // expected-error@+1 {{layer -1 is none of the 2 of its state}}
  heddle.store_kv keys(%k) values(%k) state @kv layer(%layer) {kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<?x32xf32>, tensor<?x32xf32>, index
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) {
  // expected-error@+1 {{attribute 'scale' failed to satisfy constraint: 32-bit float attribute above 0 and finite}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 0x7F800000 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}
