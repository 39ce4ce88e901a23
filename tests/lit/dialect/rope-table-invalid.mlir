// RUN: heddle-opt %s -split-input-file -verify-diagnostics

// Sound: what the declarations below lack.
heddle.rope_table @r base 1.0e4 dims 4 scale 1.0 factors [1.0, 2.0] long_factors [2.0, 8.0] beyond 64 magnitude 1.19

// -----

// expected-error@+1 {{has 1 factors; dims 4 needs 2}}
heddle.rope_table @r base 1.0e4 dims 4 scale 1.0 long_factors [2.0] beyond 64

// -----

// expected-error@+1 {{long_factors and beyond go together}}
heddle.rope_table @r base 1.0e4 dims 4 scale 1.0 long_factors [2.0, 8.0]

// -----

// expected-error@+1 {{long_factors and beyond go together}}
heddle.rope_table @r base 1.0e4 dims 4 scale 1.0 beyond 64

// -----

// expected-error@+1 {{factors must be positive}}
heddle.rope_table @r base 1.0e4 dims 4 scale 1.0 factors [1.0, 0.0]

// -----

// expected-error@+1 {{magnitude must be positive}}
heddle.rope_table @r base 1.0e4 dims 4 scale 1.0 magnitude 0.0
