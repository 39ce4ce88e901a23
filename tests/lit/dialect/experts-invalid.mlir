// RUN: heddle-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<?x64xf32>, %w: tensor<4x16x64xf32>) {
  // expected-error@+1 {{with stacks of weights needs experts}}
  %y = heddle.linear %x weights(%w) : (tensor<?x64xf32>, tensor<4x16x64xf32>) -> tensor<?x16xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<16x64xf32>, %e: tensor<?x2xi32>) {
  // expected-error@+1 {{with experts needs stacks of weights}}
  %y = heddle.linear %x weights(%w) experts(%e) : (tensor<?x64xf32>, tensor<16x64xf32>, tensor<?x2xi32>) -> tensor<?x16xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<4x24x64xf32>, %e: tensor<?x2xi32>) {
  // expected-error@+1 {{weight 0 has experts of 24 rows: a multiple of 16}}
  %y = heddle.linear %x weights(%w) experts(%e) : (tensor<?x64xf32>, tensor<4x24x64xf32>, tensor<?x2xi32>) -> tensor<?x24xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<4x16x64xf32>, %b: tensor<16xf32>, %e: tensor<?x2xi32>) {
  // expected-error@+1 {{bias 0 has 16 elements; its weight has 64 rows}}
  %y = heddle.linear %x weights(%w) biases(%b) experts(%e) : (tensor<?x64xf32>, tensor<4x16x64xf32>, tensor<16xf32>, tensor<?x2xi32>) -> tensor<?x16xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<4x64x64xf32>, %e: tensor<?x2xi32>) {
  // expected-error@+1 {{with experts takes no residual}}
  %y = heddle.linear %x weights(%w) experts(%e) residual(%x) : (tensor<?x64xf32>, tensor<4x64x64xf32>, tensor<?x2xi32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<4x16x64xf32>, %e: tensor<?x2xi32>) {
  // expected-error@+1 {{with experts must have one result}}
  %y:2 = heddle.linear %x weights(%w, %w) experts(%e) : (tensor<?x64xf32>, tensor<4x16x64xf32>, tensor<4x16x64xf32>, tensor<?x2xi32>) -> (tensor<?x16xf32>, tensor<?x16xf32>)
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<16x64xf32>) {
  // expected-error@+1 {{by_choice needs experts}}
  %y = heddle.linear %x weights(%w) {by_choice} : (tensor<?x64xf32>, tensor<16x64xf32>) -> tensor<?x16xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<16x64xf32>) {
  // expected-error@+1 {{with up needs a gate}}
  %y = heddle.linear %x weights(%w) up oss_up : (tensor<?x64xf32>, tensor<16x64xf32>) -> tensor<?x16xf32>
  return
}

// -----

func.func @f(%s: tensor<?x4xf32>) {
  // expected-error@+1 {{chooses 5 of 4 experts: at most 128 of up to 4096}}
  %w, %e = heddle.choose_experts %s choices 5 of 4 : (tensor<?x4xf32>) -> (tensor<?x5xf32>, tensor<?x5xi32>)
  return
}

// -----

func.func @f(%s: tensor<?x4xf32>) {
  // expected-error@+1 {{scores have 4 columns for 8 experts}}
  %w, %e = heddle.choose_experts %s choices 2 of 8 : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @f(%s: tensor<?x4xf32>) {
  // expected-error@+1 {{experts must be i32 of 2 choices, not 'tensor<?x3xi32>'}}
  %w, %e = heddle.choose_experts %s choices 2 of 4 : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x3xi32>)
  return
}

// -----

func.func @f(%s: tensor<?x4xf32>) {
  // expected-error@+1 {{makes weights and experts}}
  %w = heddle.choose_experts %s choices 2 of 4 : (tensor<?x4xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<?x3xf32>) {
  // expected-error@+1 {{weights have 3 columns for 2 choices}}
  %y = heddle.sum_experts %x weights(%w) choices 2 : (tensor<?x64xf32>, tensor<?x3xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<?x2xf32>) {
  // expected-error@+1 {{input, residual and result differ in features}}
  %y = heddle.sum_experts %x weights(%w) choices 2 : (tensor<?x64xf32>, tensor<?x2xf32>) -> tensor<?x32xf32>
  return
}
