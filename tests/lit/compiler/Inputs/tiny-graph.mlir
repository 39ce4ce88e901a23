// stage 0: graph
module {
  heddle.rope_table @rope base 1.000000e+04 dims 32 scale 1.000000e+00
  heddle.state paged @kv layers 2 heads 2 kv_heads 1 head_dim 32
  heddle.weight @token_embd.weight : tensor<512x64x!heddle.quant<q4_0>>
  heddle.weight @blk.0.attn_norm.weight : tensor<64xf32>
  heddle.weight @blk.0.attn_q.weight : tensor<64x64x!heddle.quant<q4_0>>
  heddle.weight @blk.0.attn_k.weight : tensor<32x64x!heddle.quant<q4_0>>
  heddle.weight @blk.0.attn_v.weight : tensor<32x64x!heddle.quant<q4_0>>
  heddle.weight @blk.0.attn_output.weight : tensor<64x64x!heddle.quant<q4_0>>
  heddle.weight @blk.0.ffn_norm.weight : tensor<64xf32>
  heddle.weight @blk.0.ffn_gate.weight : tensor<96x64x!heddle.quant<q4_0>>
  heddle.weight @blk.0.ffn_up.weight : tensor<96x64x!heddle.quant<q4_0>>
  heddle.weight @blk.0.ffn_down.weight : tensor<64x96x!heddle.quant<q4_0>>
  heddle.weight @blk.1.attn_norm.weight : tensor<64xf32>
  heddle.weight @blk.1.attn_q.weight : tensor<64x64x!heddle.quant<q4_0>>
  heddle.weight @blk.1.attn_k.weight : tensor<32x64x!heddle.quant<q4_0>>
  heddle.weight @blk.1.attn_v.weight : tensor<32x64x!heddle.quant<q4_0>>
  heddle.weight @blk.1.attn_output.weight : tensor<64x64x!heddle.quant<q4_0>>
  heddle.weight @blk.1.ffn_norm.weight : tensor<64xf32>
  heddle.weight @blk.1.ffn_gate.weight : tensor<96x64x!heddle.quant<q4_0>>
  heddle.weight @blk.1.ffn_up.weight : tensor<96x64x!heddle.quant<q4_0>>
  heddle.weight @blk.1.ffn_down.weight : tensor<64x96x!heddle.quant<q4_0>>
  heddle.weight @output_norm.weight : tensor<64xf32>
  heddle.weight @output.weight : tensor<512x64x!heddle.quant<q4_0>>
  func.func private @decoder_block(%x: tensor<?x64xf32> {heddle.name = "x"}, %layer: index {heddle.name = "layer"}, %attn_norm: tensor<64xf32> {heddle.name = "attn_norm"}, %attn_q: tensor<64x64x!heddle.quant<q4_0>> {heddle.name = "attn_q"}, %attn_k: tensor<32x64x!heddle.quant<q4_0>> {heddle.name = "attn_k"}, %attn_v: tensor<32x64x!heddle.quant<q4_0>> {heddle.name = "attn_v"}, %attn_output: tensor<64x64x!heddle.quant<q4_0>> {heddle.name = "attn_output"}, %ffn_norm: tensor<64xf32> {heddle.name = "ffn_norm"}, %ffn_gate: tensor<96x64x!heddle.quant<q4_0>> {heddle.name = "ffn_gate"}, %ffn_up: tensor<96x64x!heddle.quant<q4_0>> {heddle.name = "ffn_up"}, %ffn_down: tensor<64x96x!heddle.quant<q4_0>> {heddle.name = "ffn_down"}) -> tensor<?x64xf32> {
    %0 = heddle.rms_norm %x, %attn_norm eps 9.99999974E-6 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    %1 = heddle.linear %0 weights(%attn_q) : (tensor<?x64xf32>, tensor<64x64x!heddle.quant<q4_0>>) -> tensor<?x64xf32>
    %2 = heddle.rope interleaved %1 table @rope heads 2 : (tensor<?x64xf32>) -> tensor<?x64xf32>
    %3 = heddle.linear %0 weights(%attn_k) : (tensor<?x64xf32>, tensor<32x64x!heddle.quant<q4_0>>) -> tensor<?x32xf32>
    %4 = heddle.rope interleaved %3 table @rope heads 1 : (tensor<?x32xf32>) -> tensor<?x32xf32>
    %5 = heddle.linear %0 weights(%attn_v) : (tensor<?x64xf32>, tensor<32x64x!heddle.quant<q4_0>>) -> tensor<?x32xf32>
    %6 = heddle.attention batch query(%2) keys(%4) values(%5) state @kv layer(%layer) {head_dim = 32 : i64, heads = 2 : i64, kv_heads = 1 : i64, mask = #heddle<mask causal>, scale = 0.176776692 : f32} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index) -> tensor<?x64xf32>
    %7 = heddle.linear %6 weights(%attn_output) : (tensor<?x64xf32>, tensor<64x64x!heddle.quant<q4_0>>) -> tensor<?x64xf32>
    %8 = heddle.add %x, %7 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
    %9 = heddle.rms_norm %8, %ffn_norm eps 9.99999974E-6 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    %10 = heddle.linear %9 weights(%ffn_gate) : (tensor<?x64xf32>, tensor<96x64x!heddle.quant<q4_0>>) -> tensor<?x96xf32>
    %11 = heddle.activate silu %10 : (tensor<?x96xf32>) -> tensor<?x96xf32>
    %12 = heddle.linear %9 weights(%ffn_up) : (tensor<?x64xf32>, tensor<96x64x!heddle.quant<q4_0>>) -> tensor<?x96xf32>
    %13 = heddle.mul %11, %12 : (tensor<?x96xf32>, tensor<?x96xf32>) -> tensor<?x96xf32>
    %14 = heddle.linear %13 weights(%ffn_down) : (tensor<?x96xf32>, tensor<64x96x!heddle.quant<q4_0>>) -> tensor<?x64xf32>
    %15 = heddle.add %8, %14 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
    return %15 : tensor<?x64xf32>
  }
  func.func @step() -> tensor<?x512xf32> {
    %ids = heddle.batch ids : tensor<?xi32>
    %rows = heddle.batch wanted : tensor<?xi32>
    %0 = heddle.get @token_embd.weight : tensor<512x64x!heddle.quant<q4_0>>
    %1 = heddle.embed %ids, %0 : (tensor<?xi32>, tensor<512x64x!heddle.quant<q4_0>>) -> tensor<?x64xf32>
    %2 = heddle.get @blk.0.attn_norm.weight : tensor<64xf32>
    %3 = heddle.get @blk.0.attn_q.weight : tensor<64x64x!heddle.quant<q4_0>>
    %4 = heddle.get @blk.0.attn_k.weight : tensor<32x64x!heddle.quant<q4_0>>
    %5 = heddle.get @blk.0.attn_v.weight : tensor<32x64x!heddle.quant<q4_0>>
    %6 = heddle.get @blk.0.attn_output.weight : tensor<64x64x!heddle.quant<q4_0>>
    %7 = heddle.get @blk.0.ffn_norm.weight : tensor<64xf32>
    %8 = heddle.get @blk.0.ffn_gate.weight : tensor<96x64x!heddle.quant<q4_0>>
    %9 = heddle.get @blk.0.ffn_up.weight : tensor<96x64x!heddle.quant<q4_0>>
    %10 = heddle.get @blk.0.ffn_down.weight : tensor<64x96x!heddle.quant<q4_0>>
    %c0 = arith.constant 0 : index
    %11 = call @decoder_block(%1, %c0, %2, %3, %4, %5, %6, %7, %8, %9, %10) : (tensor<?x64xf32>, index, tensor<64xf32>, tensor<64x64x!heddle.quant<q4_0>>, tensor<32x64x!heddle.quant<q4_0>>, tensor<32x64x!heddle.quant<q4_0>>, tensor<64x64x!heddle.quant<q4_0>>, tensor<64xf32>, tensor<96x64x!heddle.quant<q4_0>>, tensor<96x64x!heddle.quant<q4_0>>, tensor<64x96x!heddle.quant<q4_0>>) -> tensor<?x64xf32>
    %12 = heddle.get @blk.1.attn_norm.weight : tensor<64xf32>
    %13 = heddle.get @blk.1.attn_q.weight : tensor<64x64x!heddle.quant<q4_0>>
    %14 = heddle.get @blk.1.attn_k.weight : tensor<32x64x!heddle.quant<q4_0>>
    %15 = heddle.get @blk.1.attn_v.weight : tensor<32x64x!heddle.quant<q4_0>>
    %16 = heddle.get @blk.1.attn_output.weight : tensor<64x64x!heddle.quant<q4_0>>
    %17 = heddle.get @blk.1.ffn_norm.weight : tensor<64xf32>
    %18 = heddle.get @blk.1.ffn_gate.weight : tensor<96x64x!heddle.quant<q4_0>>
    %19 = heddle.get @blk.1.ffn_up.weight : tensor<96x64x!heddle.quant<q4_0>>
    %20 = heddle.get @blk.1.ffn_down.weight : tensor<64x96x!heddle.quant<q4_0>>
    %c1 = arith.constant 1 : index
    %21 = call @decoder_block(%11, %c1, %12, %13, %14, %15, %16, %17, %18, %19, %20) : (tensor<?x64xf32>, index, tensor<64xf32>, tensor<64x64x!heddle.quant<q4_0>>, tensor<32x64x!heddle.quant<q4_0>>, tensor<32x64x!heddle.quant<q4_0>>, tensor<64x64x!heddle.quant<q4_0>>, tensor<64xf32>, tensor<96x64x!heddle.quant<q4_0>>, tensor<96x64x!heddle.quant<q4_0>>, tensor<64x96x!heddle.quant<q4_0>>) -> tensor<?x64xf32>
    %22 = heddle.select_rows %21, %rows : (tensor<?x64xf32>, tensor<?xi32>) -> tensor<?x64xf32>
    %23 = heddle.get @output_norm.weight : tensor<64xf32>
    %24 = heddle.rms_norm %22, %23 eps 9.99999974E-6 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    %25 = heddle.get @output.weight : tensor<512x64x!heddle.quant<q4_0>>
    %26 = heddle.linear %24 weights(%25) : (tensor<?x64xf32>, tensor<512x64x!heddle.quant<q4_0>>) -> tensor<?x512xf32>
    return %26 : tensor<?x512xf32>
  }
}
