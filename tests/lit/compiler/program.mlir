// RUN: heddle-opt %s -heddle-to-fused -heddle-to-sharded | FileCheck %s --check-prefix=SHARDED
// RUN: heddle-opt %s -heddle-to-fused -heddle-to-sharded -heddle-to-planned | FileCheck %s --check-prefix=PLANNED
// RUN: heddle-opt %s -heddle-to-fused -heddle-to-sharded -heddle-to-planned -heddle-to-kernels -heddle-to-loops | FileCheck %s --check-prefix=LOOPS
// RUN: heddle-opt %s -heddle-to-fused -heddle-to-sharded -heddle-to-planned -heddle-to-kernels -heddle-to-loops -heddle-to-llvm | FileCheck %s --check-prefix=LLVM
// A program of three entries over states of every kind, from its graph down: the entries' names are their own.

heddle.weight @table : tensor<50x64xf32>
heddle.weight @qkv : tensor<64x64xf32>
heddle.weight @keep : tensor<40x64xf32>
heddle.weight @input : tensor<40x64xf32>
heddle.weight @back : tensor<64x40xf32>
heddle.state paged @past layers 1 heads 4 kv_heads 4 head_dim 16
heddle.state fixed @source layers 1 heads 4 kv_heads 4 head_dim 16
heddle.state recurrent @memory layers 1 features 40
// SHARDED: heddle.state transient @transient heads 4 kv_heads 4 head_dim 16

// Written by one entry, without results of its own.
// SHARDED-LABEL: func.func @encode()
//       SHARDED:   heddle.store_kv {{.*}} state @source layer(%{{.*}}) shares(
// PLANNED-LABEL: func.func @encode()
//   PLANNED-NOT:   heddle.output
//   LOOPS-LABEL: func.func private @store_kv
//         LOOPS:   heddle.pages @source {access = #heddle<access write>}
//    LLVM-LABEL: llvm.func @heddle_entry_encode(
func.func @encode() {
  %ids = heddle.batch ids : tensor<?xi32>
  %table = heddle.get @table : tensor<50x64xf32>
  %w = heddle.get @qkv : tensor<64x64xf32>
  %layer = arith.constant 0 : index
  %x = heddle.embed %ids, %table : (tensor<?xi32>, tensor<50x64xf32>) -> tensor<?x64xf32>
  %k = heddle.linear %x weights(%w) : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  heddle.store_kv keys(%k) values(%k) state @source layer(%layer) {kv_heads = 4 : i64, head_dim = 16 : i64} : tensor<?x64xf32>, tensor<?x64xf32>, index
  return
}

// Keys of the tokens themselves, seen by all of them: a row for each token.
// SHARDED-LABEL: func.func @pool()
// PLANNED-LABEL: func.func @pool()
//       SHARDED:   heddle.store_kv {{.*}} state @transient shares
//       SHARDED:   heddle.attention transient query(%{{.*}}) state @transient shares
//    LLVM-LABEL: llvm.func @heddle_entry_pool(
func.func @pool() -> tensor<?x64xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %table = heddle.get @table : tensor<50x64xf32>
  %w = heddle.get @qkv : tensor<64x64xf32>
  %x = heddle.embed %ids, %table : (tensor<?xi32>, tensor<50x64xf32>) -> tensor<?x64xf32>
  %q = heddle.linear %x weights(%w) : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %a = heddle.attention batch query(%q) keys(%q) values(%q)
      {heads = 4 : i64, kv_heads = 4 : i64, head_dim = 16 : i64, scale = 0.25 : f32, mask = #heddle<mask none>}
      : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %a : tensor<?x64xf32>
}

// Its own past, what encode has left, and a memory, of which a rank has its units of 16 features.
// SHARDED-LABEL: func.func @step()
//       SHARDED:   heddle.attention paged query(%{{.*}}) state @past
//       SHARDED:   heddle.attention fixed query(%{{.*}}) state @source
//       SHARDED:   heddle.share 3
//       SHARDED:   heddle.recurrence %{{.*}}, %{{.*}} state @memory layer(%{{.*}}) shares(%{{.*}}, %{{.*}}) : (tensor<?x40xf32, #heddle.shard<columns, 16>>, tensor<?x40xf32, #heddle.shard<columns, 16>>,
//       SHARDED:   heddle.all_gather
// PLANNED-LABEL: func.func @step()
//       PLANNED:   heddle.recurrence %{{.*}}, %[[INPUT:.*]] state @memory {{.*}} outs(%[[INPUT]])
//   LOOPS-LABEL: func.func private @cross_attention
//         LOOPS:   heddle.lengths @source
//   LOOPS-LABEL: func.func private @recurrence
//         LOOPS:   heddle.pages @memory {access = #heddle<access update>}
//    LLVM-LABEL: llvm.func @heddle_entry_step(
func.func @step() -> tensor<?x64xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %table = heddle.get @table : tensor<50x64xf32>
  %w = heddle.get @qkv : tensor<64x64xf32>
  %wk = heddle.get @keep : tensor<40x64xf32>
  %wi = heddle.get @input : tensor<40x64xf32>
  %wb = heddle.get @back : tensor<64x40xf32>
  %layer = arith.constant 0 : index
  %x = heddle.embed %ids, %table : (tensor<?xi32>, tensor<50x64xf32>) -> tensor<?x64xf32>
  %q = heddle.linear %x weights(%w) : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %a = heddle.attention batch query(%q) keys(%q) values(%q) state @past layer(%layer)
      {heads = 4 : i64, kv_heads = 4 : i64, head_dim = 16 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, index) -> tensor<?x64xf32>
  %c = heddle.attention fixed query(%a) state @source layer(%layer)
      {heads = 4 : i64, kv_heads = 4 : i64, head_dim = 16 : i64, scale = 0.25 : f32, mask = #heddle<mask none>}
      : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  %keep = heddle.linear %c weights(%wk) : (tensor<?x64xf32>, tensor<40x64xf32>) -> tensor<?x40xf32>
  %input = heddle.linear %a weights(%wi) : (tensor<?x64xf32>, tensor<40x64xf32>) -> tensor<?x40xf32>
  %m = heddle.recurrence %keep, %input state @memory layer(%layer) : (tensor<?x40xf32>, tensor<?x40xf32>, index) -> tensor<?x40xf32>
  %y = heddle.linear %m weights(%wb) : (tensor<?x40xf32>, tensor<64x40xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
