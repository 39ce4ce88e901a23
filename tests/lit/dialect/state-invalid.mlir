// RUN: heddle-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{of kind paged needs layers, heads, kv_heads and head_dim, and no features}}
heddle.state paged @kv heads 4 kv_heads 2 head_dim 16

// -----

// expected-error@+1 {{of kind fixed needs layers, heads, kv_heads and head_dim, and no features}}
heddle.state fixed @kv layers 2 features 64

// -----

// expected-error@+1 {{of kind transient needs heads, kv_heads and head_dim, and no layers or features}}
heddle.state transient @kv layers 2 heads 4 kv_heads 2 head_dim 16

// -----

// expected-error@+1 {{of kind recurrent needs layers and features, and no heads}}
heddle.state recurrent @h layers 2 heads 4 kv_heads 2 head_dim 16 features 64

// -----

// expected-error@+1 {{of kind recurrent needs layers and features, and no heads}}
heddle.state recurrent @h features 64

// -----

// expected-error@+1 {{rows of a recurrent state are f32: they have no type}}
heddle.state recurrent @h layers 1 features 64 {type = #heddle<cache_type q8>}

// -----

heddle.state fixed @cross layers 1 heads 4 kv_heads 2 head_dim 16
func.func @f(%q: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{takes a paged state; @cross is fixed}}
  %a = heddle.attention paged query(%q) state @cross layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask causal>} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state fixed @cross layers 1 heads 4 kv_heads 2 head_dim 16
func.func private @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %layer: index) {
  // expected-error@+1 {{takes a paged or transient state; @cross is fixed}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) state @cross layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state fixed @cross layers 1 heads 4 kv_heads 2 head_dim 16
func.func @f(%q: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{sees all of a fixed state: mask none, not causal}}
  %a = heddle.attention fixed query(%q) state @cross layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask causal>} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state paged @kv layers 1 heads 4 kv_heads 2 head_dim 16
func.func @f(%q: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{with mask none would see more or less of a paged state by how a prompt comes in steps: mask causal or window, or a transient state}}
  %a = heddle.attention paged query(%q) state @kv layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state transient @now heads 4 kv_heads 2 head_dim 16
func.func @f(%q: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{names a layer of a state that has none}}
  %a = heddle.attention transient query(%q) state @now layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %layer: index) {
  // expected-error@+1 {{names a layer and no state}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state recurrent @h layers 1 features 64
func.func @f(%k: tensor<?x32xf32>, %layer: index) {
  // expected-error@+1 {{takes a paged or fixed or transient state; @h is recurrent}}
  heddle.store_kv keys(%k) values(%k) state @h layer(%layer) {kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<?x32xf32>, tensor<?x32xf32>, index
  return
}

// -----

// Written and read by one entry, though by two blocks.
// expected-error@+1 {{is fixed, but entry step both writes and reads it: write it in one entry, read it in others}}
heddle.state fixed @cross layers 1 heads 4 kv_heads 2 head_dim 16
func.func private @keep(%k: tensor<?x32xf32>, %layer: index) {
  heddle.store_kv keys(%k) values(%k) state @cross layer(%layer) {kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<?x32xf32>, tensor<?x32xf32>, index
  return
}
func.func private @look(%q: tensor<?x64xf32>, %layer: index) -> tensor<?x64xf32> {
  %a = heddle.attention fixed query(%q) state @cross layer(%layer) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 1.0 : f32, mask = #heddle<mask none>} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return %a : tensor<?x64xf32>
}
func.func @step(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %layer: index) {
  call @keep(%k, %layer) : (tensor<?x32xf32>, index) -> ()
  %a = call @look(%q, %layer) : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{names no declared state: @h}}
  %y = heddle.recurrence %x, %x state @h layer(%layer) : (tensor<?x64xf32>, tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state paged @kv layers 1 heads 4 kv_heads 2 head_dim 16
func.func @f(%x: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{takes a recurrent state; @kv is paged}}
  %y = heddle.recurrence %x, %x state @kv layer(%layer) : (tensor<?x64xf32>, tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state recurrent @h layers 2 features 48
func.func @f(%x: tensor<?x64xf32>, %layer: index) {
  // expected-error@+1 {{has 64 features; its state has 48}}
  %y = heddle.recurrence %x, %x state @h layer(%layer) : (tensor<?x64xf32>, tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state recurrent @h layers 2 features 64
func.func @f(%x: tensor<?x64xf32>) {
  %layer = arith.constant 2 : index
  // expected-error@+1 {{layer 2 is none of the 2 of its state}}
  %y = heddle.recurrence %x, %x state @h layer(%layer) : (tensor<?x64xf32>, tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state recurrent @h layers 2 features 64
func.func @f(%x: tensor<?x64xf32>, %y: tensor<?x32xf32>, %layer: index) {
  // expected-error@+1 {{operands and result differ in features}}
  %z = heddle.recurrence %x, %y state @h layer(%layer) : (tensor<?x64xf32>, tensor<?x32xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

heddle.state recurrent @h layers 2 features 64
func.func @f() {
  // expected-error@+1 {{a recurrent state has rows, not positions: @h}}
  %lengths = heddle.lengths @h : memref<?xi32>
  return
}
