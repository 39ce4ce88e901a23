// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-plan-memory

// An edited stage must not give an op fewer rows than it reads.

func.func private @block(%x: tensor<?x32xf32>, %w: tensor<4x32x32xf32>, %e: tensor<?x2xi32>) -> tensor<?x32xf32> {
  %y = heddle.linear %x weights(%w) experts(%e) : (tensor<?x32xf32>, tensor<4x32x32xf32>, tensor<?x2xi32>) -> tensor<?x32xf32>
  // expected-error@+1 {{has operands of different numbers of rows}}
  %z = heddle.add %x, %y : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %z : tensor<?x32xf32>
}

// -----

func.func private @block(%x: tensor<?x32xf32>, %w: tensor<4x32x32xf32>, %s: tensor<?x4xf32>) -> tensor<?x32xf32> {
  %a, %e = heddle.choose_experts %s choices 2 of 4 : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %y = heddle.linear %x weights(%w) experts(%e) : (tensor<?x32xf32>, tensor<4x32x32xf32>, tensor<?x2xi32>) -> tensor<?x32xf32>
  // expected-error@+1 {{has operands of different numbers of rows}}
  %z = heddle.linear %y weights(%w) experts(%e) : (tensor<?x32xf32>, tensor<4x32x32xf32>, tensor<?x2xi32>) -> tensor<?x32xf32>
  return %z : tensor<?x32xf32>
}

// -----

// Rows are chosen by tokens' numbers: of rows that have been chosen already none are.
func.func private @mean(%x: tensor<?x32xf32>, %f: tensor<?xi32>, %l: tensor<?xi32>) -> tensor<?x32xf32> {
  %m = heddle.mean_rows %x from %f to %l : (tensor<?x32xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x32xf32>
  return %m : tensor<?x32xf32>
}
heddle.weight @t : tensor<64x32xf32>
func.func @embed() -> tensor<?x32xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %t = heddle.get @t : tensor<64x32xf32>
  %x = heddle.embed %ids, %t : (tensor<?xi32>, tensor<64x32xf32>) -> tensor<?x32xf32>
  %f = heddle.batch first : tensor<?xi32>
  %l = heddle.batch last : tensor<?xi32>
  %y = call @mean(%x, %f, %l) : (tensor<?x32xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x32xf32>
  // expected-error@+1 {{argument 0 must have a row for each token of the step}}
  %z = call @mean(%y, %f, %l) : (tensor<?x32xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x32xf32>
  return %z : tensor<?x32xf32>
}

// -----

heddle.weight @t : tensor<64x32xf32>
func.func @embed() -> tensor<?x32xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %t = heddle.get @t : tensor<64x32xf32>
  %x = heddle.embed %ids, %t : (tensor<?xi32>, tensor<64x32xf32>) -> tensor<?x32xf32>
  %l = heddle.batch last : tensor<?xi32>
  %y = heddle.select_rows %x, %l : (tensor<?x32xf32>, tensor<?xi32>) -> tensor<?x32xf32>
  // expected-error@+1 {{needs a row for each token of the step}}
  %z = heddle.select_rows %y, %l : (tensor<?x32xf32>, tensor<?xi32>) -> tensor<?x32xf32>
  return %z : tensor<?x32xf32>
}

// -----

heddle.weight @t : tensor<64x32xf32>
heddle.weight @w : tensor<4x32x32xf32>
heddle.weight @r : tensor<4x32xf32>
func.func @step() -> tensor<?x32xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %t = heddle.get @t : tensor<64x32xf32>
  %x = heddle.embed %ids, %t : (tensor<?xi32>, tensor<64x32xf32>) -> tensor<?x32xf32>
  %r = heddle.get @r : tensor<4x32xf32>
  %s = heddle.linear %x weights(%r) : (tensor<?x32xf32>, tensor<4x32xf32>) -> tensor<?x4xf32>
  %a, %e = heddle.choose_experts %s choices 2 of 4 : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %w = heddle.get @w : tensor<4x32x32xf32>
  %y = heddle.linear %x weights(%w) experts(%e) : (tensor<?x32xf32>, tensor<4x32x32xf32>, tensor<?x2xi32>) -> tensor<?x32xf32>
  // expected-error@+1 {{entry step cannot return 2 rows a token}}
  return %y : tensor<?x32xf32>
}
