// RUN: heddle-opt %s -heddle-shard-by-rows | FileCheck %s

// Rows where nothing else is known, 1,024 vocabulary rows for logits; a tied table stays whole, and its product knows.
// CHECK-DAG: heddle.weight @table : tensor<2048x32xf16>
// CHECK-DAG: heddle.weight @w : tensor<32x32xf16> share <columns, 16>
// CHECK-LABEL: func.func @step()
//       CHECK: heddle.share 2
//       CHECK: heddle.linear {{.*}} -> tensor<?x32xf32, #heddle.shard<columns, 16>>
//       CHECK: %[[X:.*]] = heddle.all_gather
//       CHECK: heddle.share 2{{$}}
//       CHECK: heddle.linear %[[X]] {{.*}} {whole_weights} : {{.*}} #heddle.shard<columns, 1024>>
//       CHECK: %[[L:.*]] = heddle.all_gather
//       CHECK: return %[[L]]
heddle.weight @table : tensor<2048x32xf16>
heddle.weight @w : tensor<32x32xf16>
func.func @step() -> tensor<?x2048xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %t = heddle.get @table : tensor<2048x32xf16>
  %w = heddle.get @w : tensor<32x32xf16>
  %x = heddle.embed %ids, %t : (tensor<?xi32>, tensor<2048x32xf16>) -> tensor<?x32xf32>
  %y = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %l = heddle.linear %y weights(%t) : (tensor<?x32xf32>, tensor<2048x32xf16>) -> tensor<?x2048xf32>
  return %l : tensor<?x2048xf32>
}
