// graph.mlir at stage sharded: 6 heads, 4 units of 16 rows, 3 of 32, 2 of 1,024 (the last one short) over any number of ranks.
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
  %hb, %he = heddle.share 6
  %kb, %ke = heddle.share 6 group 3
  %db, %de = heddle.share 4
  %fb, %fe = heddle.share 3
  %h = heddle.rms_norm %x, %attn_norm eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64x!heddle.q8>
  %q, %k, %v = heddle.linear %h weights(%wq, %wk, %wv) shares(%hb, %he, %kb, %ke, %kb, %ke)
      : (tensor<?x64x!heddle.q8>, tensor<192x64x!heddle.quant<q4_1>>, tensor<64x64x!heddle.quant<q4_1>>, tensor<64x64x!heddle.quant<q5_0>>, index, index, index, index, index, index)
      -> (tensor<?x192xf32, #heddle.shard<heads, 32>>, tensor<?x64xf32, #heddle.shard<kv_heads, 32, group 3>>, tensor<?x64xf32, #heddle.shard<kv_heads, 32, group 3>>)
  heddle.store_kv keys(%k) values(%v) state @kv layer(%layer) k_norm(%k_norm) shares(%kb, %ke)
      {kv_heads = 2 : i64, head_dim = 32 : i64, norm_eps = 1.0e-5 : f32, rope = @rope, style = #heddle<rope_style neox>}
      : tensor<?x64xf32, #heddle.shard<kv_heads, 32, group 3>>, tensor<?x64xf32, #heddle.shard<kv_heads, 32, group 3>>, index, tensor<32xf32>, index, index
  %a0 = heddle.attention paged query(%q) state @kv layer(%layer) q_norm(%q_norm) shares(%hb, %he, %kb, %ke)
      {heads = 6 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.176776695 : f32, mask = #heddle<mask window>, window = 70 : i64,
      soft_cap = 20.0 : f32, norm_eps = 1.0e-5 : f32, rope = @rope, style = #heddle<rope_style neox>}
      : (tensor<?x192xf32, #heddle.shard<heads, 32>>, index, tensor<32xf32>, index, index, index, index) -> tensor<?x192x!heddle.q8, #heddle.shard<heads, 32>>
  %a = heddle.all_gather %a0 : (tensor<?x192x!heddle.q8, #heddle.shard<heads, 32>>) -> tensor<?x192x!heddle.q8>
  %o0 = heddle.linear %a weights(%wo) shares(%db, %de) : (tensor<?x192x!heddle.q8>, tensor<64x192x!heddle.quant<q4_0>>, index, index) -> tensor<?x64xf32, #heddle.shard<columns, 16>>
  %o = heddle.all_gather %o0 : (tensor<?x64xf32, #heddle.shard<columns, 16>>) -> tensor<?x64xf32>
  %x1 = heddle.rms_norm %o, %post_norm eps 1.0e-5 residual(%x) : (tensor<?x64xf32>, tensor<64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %f = heddle.rms_norm %x1, %ffn_norm eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64x!heddle.q8>
  %g0 = heddle.linear %f weights(%gate, %up) gate silu shares(%fb, %fe, %fb, %fe)
      : (tensor<?x64x!heddle.q8>, tensor<96x64x!heddle.quant<q4_1>>, tensor<96x64x!heddle.quant<q8_0>>, index, index, index, index) -> tensor<?x96x!heddle.q8, #heddle.shard<columns, 32>>
  %g = heddle.all_gather %g0 : (tensor<?x96x!heddle.q8, #heddle.shard<columns, 32>>) -> tensor<?x96x!heddle.q8>
  %x2s = heddle.linear %g weights(%down) residual(%x1) shares(%db, %de)
      : (tensor<?x96x!heddle.q8>, tensor<64x96x!heddle.quant<q5_1>>, tensor<?x64xf32>, index, index) -> tensor<?x64xf32, #heddle.shard<columns, 16>>
  %x2 = heddle.all_gather %x2s : (tensor<?x64xf32, #heddle.shard<columns, 16>>) -> tensor<?x64xf32>
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
  %x4 = heddle.rms_norm %x3, %output_norm eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64x!heddle.q8>
  %vb, %ve = heddle.share 2
  %share = heddle.linear %x4 weights(%embed) shares(%vb, %ve)
      : (tensor<?x64x!heddle.q8>, tensor<1100x64x!heddle.quant<q8_0>>, index, index) -> tensor<?x1100xf32, #heddle.shard<columns, 1024>>
  %logits = heddle.all_gather %share : (tensor<?x1100xf32, #heddle.shard<columns, 1024>>) -> tensor<?x1100xf32>
  return %logits : tensor<?x1100xf32>
}
