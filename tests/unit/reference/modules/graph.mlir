// Two decoder blocks at stage graph: 6 query heads of 32 over 2 KV heads, width 64, feed-forward 96, vocabulary 1100.
// Block 0 and block 1 share the function; the head norms, the window and the soft-cap are there to be interpreted, not because a
// family has just this mix.
heddle.weight @embed : tensor<1100x64x!heddle.quant<q8_0>>
heddle.weight @output_norm : tensor<64xf32>
heddle.weight @attn_norm : tensor<64xf32>
heddle.weight @q : tensor<192x64x!heddle.quant<q4_1>>
heddle.weight @k : tensor<64x64x!heddle.quant<q4_1>>
heddle.weight @v : tensor<64x64x!heddle.quant<q5_0>>
heddle.weight @q_norm : tensor<32xf32>
heddle.weight @k_norm : tensor<32xf32>
heddle.weight @o : tensor<64x192x!heddle.quant<q4_0>>
heddle.weight @post_norm : tensor<64xf32>
heddle.weight @ffn_norm : tensor<64xf32>
heddle.weight @gate : tensor<96x64x!heddle.quant<q4_1>>
heddle.weight @up : tensor<96x64x!heddle.quant<q8_0>>
heddle.weight @down : tensor<64x96x!heddle.quant<q5_1>>
heddle.rope_table @rope base 10000.0 dims 24 scale 1.0
heddle.state paged @kv layers 2 heads 6 kv_heads 2 head_dim 32

func.func private @block(%x: tensor<?x64xf32>, %layer: index, %attn_norm: tensor<64xf32>, %wq: tensor<192x64x!heddle.quant<q4_1>>, %wk: tensor<64x64x!heddle.quant<q4_1>>,
    %wv: tensor<64x64x!heddle.quant<q5_0>>, %q_norm: tensor<32xf32>, %k_norm: tensor<32xf32>,
    %wo: tensor<64x192x!heddle.quant<q4_0>>, %post_norm: tensor<64xf32>, %ffn_norm: tensor<64xf32>,
    %gate: tensor<96x64x!heddle.quant<q4_1>>, %up: tensor<96x64x!heddle.quant<q8_0>>,
    %down: tensor<64x96x!heddle.quant<q5_1>>) -> tensor<?x64xf32> {
  %h = heddle.rms_norm %x, %attn_norm eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %q0 = heddle.linear %h weights(%wq) : (tensor<?x64xf32>, tensor<192x64x!heddle.quant<q4_1>>) -> tensor<?x192xf32>
  %k0 = heddle.linear %h weights(%wk) : (tensor<?x64xf32>, tensor<64x64x!heddle.quant<q4_1>>) -> tensor<?x64xf32>
  %v = heddle.linear %h weights(%wv) : (tensor<?x64xf32>, tensor<64x64x!heddle.quant<q5_0>>) -> tensor<?x64xf32>
  %q1 = heddle.rms_norm %q0, %q_norm eps 1.0e-5 {groups = 6 : i64} : (tensor<?x192xf32>, tensor<32xf32>) -> tensor<?x192xf32>
  %k1 = heddle.rms_norm %k0, %k_norm eps 1.0e-5 {groups = 2 : i64} : (tensor<?x64xf32>, tensor<32xf32>) -> tensor<?x64xf32>
  %q = heddle.rope neox %q1 table @rope heads 6 : (tensor<?x192xf32>) -> tensor<?x192xf32>
  %k = heddle.rope neox %k1 table @rope heads 2 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %a = heddle.attention batch query(%q) keys(%k) values(%v) state @kv
      layer(%layer) {heads = 6 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.176776695 : f32,
      mask = #heddle<mask window>, window = 70 : i64, soft_cap = 20.0 : f32}
      : (tensor<?x192xf32>, tensor<?x64xf32>, tensor<?x64xf32>, index) -> tensor<?x192xf32>
  %o = heddle.linear %a weights(%wo) : (tensor<?x192xf32>, tensor<64x192x!heddle.quant<q4_0>>) -> tensor<?x64xf32>
  %on = heddle.rms_norm %o, %post_norm eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %x1 = heddle.add %x, %on : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %f = heddle.rms_norm %x1, %ffn_norm eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %g = heddle.linear %f weights(%gate) : (tensor<?x64xf32>, tensor<96x64x!heddle.quant<q4_1>>) -> tensor<?x96xf32>
  %u = heddle.linear %f weights(%up) : (tensor<?x64xf32>, tensor<96x64x!heddle.quant<q8_0>>) -> tensor<?x96xf32>
  %ga = heddle.activate silu %g : (tensor<?x96xf32>) -> tensor<?x96xf32>
  %gu = heddle.mul %ga, %u : (tensor<?x96xf32>, tensor<?x96xf32>) -> tensor<?x96xf32>
  %d = heddle.linear %gu weights(%down) : (tensor<?x96xf32>, tensor<64x96x!heddle.quant<q5_1>>) -> tensor<?x64xf32>
  %x2 = heddle.add %x1, %d : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %x2 : tensor<?x64xf32>
}

func.func @step() -> tensor<?x1100xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %rows = heddle.batch wanted : tensor<?xi32>
  %embed = heddle.get @embed : tensor<1100x64x!heddle.quant<q8_0>>
  %output_norm = heddle.get @output_norm : tensor<64xf32>
  %attn_norm = heddle.get @attn_norm : tensor<64xf32>
  %wq = heddle.get @q : tensor<192x64x!heddle.quant<q4_1>>
  %wk = heddle.get @k : tensor<64x64x!heddle.quant<q4_1>>
  %wv = heddle.get @v : tensor<64x64x!heddle.quant<q5_0>>
  %q_norm = heddle.get @q_norm : tensor<32xf32>
  %k_norm = heddle.get @k_norm : tensor<32xf32>
  %wo = heddle.get @o : tensor<64x192x!heddle.quant<q4_0>>
  %post_norm = heddle.get @post_norm : tensor<64xf32>
  %ffn_norm = heddle.get @ffn_norm : tensor<64xf32>
  %gate = heddle.get @gate : tensor<96x64x!heddle.quant<q4_1>>
  %up = heddle.get @up : tensor<96x64x!heddle.quant<q8_0>>
  %down = heddle.get @down : tensor<64x96x!heddle.quant<q5_1>>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x0 = heddle.embed %ids, %embed {scale = 8.0 : f32} : (tensor<?xi32>, tensor<1100x64x!heddle.quant<q8_0>>) -> tensor<?x64xf32>
  %x1 = call @block(%x0, %c0, %attn_norm, %wq, %wk, %wv, %q_norm, %k_norm, %wo, %post_norm, %ffn_norm, %gate, %up, %down)
      : (tensor<?x64xf32>, index, tensor<64xf32>, tensor<192x64x!heddle.quant<q4_1>>, tensor<64x64x!heddle.quant<q4_1>>, tensor<64x64x!heddle.quant<q5_0>>, tensor<32xf32>, tensor<32xf32>, tensor<64x192x!heddle.quant<q4_0>>, tensor<64xf32>, tensor<64xf32>, tensor<96x64x!heddle.quant<q4_1>>, tensor<96x64x!heddle.quant<q8_0>>, tensor<64x96x!heddle.quant<q5_1>>) -> tensor<?x64xf32>
  %x2 = call @block(%x1, %c1, %attn_norm, %wq, %wk, %wv, %q_norm, %k_norm, %wo, %post_norm, %ffn_norm, %gate, %up, %down)
      : (tensor<?x64xf32>, index, tensor<64xf32>, tensor<192x64x!heddle.quant<q4_1>>, tensor<64x64x!heddle.quant<q4_1>>, tensor<64x64x!heddle.quant<q5_0>>, tensor<32xf32>, tensor<32xf32>, tensor<64x192x!heddle.quant<q4_0>>, tensor<64xf32>, tensor<64xf32>, tensor<96x64x!heddle.quant<q4_1>>, tensor<96x64x!heddle.quant<q8_0>>, tensor<64x96x!heddle.quant<q5_1>>) -> tensor<?x64xf32>
  %x3 = heddle.select_rows %x2, %rows : (tensor<?x64xf32>, tensor<?xi32>) -> tensor<?x64xf32>
  %x4 = heddle.rms_norm %x3, %output_norm eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %logits = heddle.linear %x4 weights(%embed) : (tensor<?x64xf32>, tensor<1100x64x!heddle.quant<q8_0>>) -> tensor<?x1100xf32>
  return %logits : tensor<?x1100xf32>
}
