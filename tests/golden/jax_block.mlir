module @jit_program attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2x6xi32>, %arg1: tensor<2x6xi1>, %arg2: tensor<13x16xbf16>, %arg3: tensor<16x48xbf16>, %arg4: tensor<16x16xbf16>, %arg5: tensor<16x32xbf16>, %arg6: tensor<32x16xbf16>) -> (tensor<f32> {jax.result_info = "result[0]"}, tensor<2x6x16xbf16> {jax.result_info = "result[1]"}, tensor<13x16xf32> {jax.result_info = "result[2]"}, tensor<16x48xf32> {jax.result_info = "result[3]"}, tensor<16x16xf32> {jax.result_info = "result[4]"}, tensor<16x32xf32> {jax.result_info = "result[5]"}, tensor<32x16xf32> {jax.result_info = "result[6]"}) {
    %0 = stablehlo.convert %arg2 : (tensor<13x16xbf16>) -> tensor<13x16xf32>
    %1 = stablehlo.convert %arg3 : (tensor<16x48xbf16>) -> tensor<16x48xf32>
    %2 = stablehlo.convert %arg4 : (tensor<16x16xbf16>) -> tensor<16x16xf32>
    %3 = stablehlo.convert %arg5 : (tensor<16x32xbf16>) -> tensor<16x32xf32>
    %4 = stablehlo.convert %arg6 : (tensor<32x16xbf16>) -> tensor<32x16xf32>
    %c = stablehlo.constant dense<0> : tensor<i32>
    %5 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<2x6xi32>
    %6 = stablehlo.compare LT, %arg0, %5, SIGNED : (tensor<2x6xi32>, tensor<2x6xi32>) -> tensor<2x6xi1>
    %c_0 = stablehlo.constant dense<13> : tensor<i32>
    %7 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<2x6xi32>
    %8 = stablehlo.add %arg0, %7 : tensor<2x6xi32>
    %9 = stablehlo.select %6, %8, %arg0 : tensor<2x6xi1>, tensor<2x6xi32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x6xi32>) -> tensor<2x6x1xi32>
    %11 = "stablehlo.gather"(%0, %10) <{dimension_numbers = #stablehlo.gather<offset_dims = [2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, indices_are_sorted = false, slice_sizes = array<i64: 1, 16>}> : (tensor<13x16xf32>, tensor<2x6x1xi32>) -> tensor<2x6x16xf32>
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %12 = stablehlo.reduce(%11 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x6x16xf32>, tensor<f32>) -> tensor<2x6xf32>
    %13 = stablehlo.broadcast_in_dim %12, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %cst_1 = stablehlo.constant dense<1.600000e+01> : tensor<f32>
    %14 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %15 = stablehlo.divide %13, %14 : tensor<2x6x1xf32>
    %16 = stablehlo.broadcast_in_dim %15, dims = [0, 1, 2] : (tensor<2x6x1xf32>) -> tensor<2x6x16xf32>
    %17 = stablehlo.subtract %11, %16 : tensor<2x6x16xf32>
    %c_2 = stablehlo.constant dense<0> : tensor<i32>
    %18:4 = call @_var(%11, %c_2) : (tensor<2x6x16xf32>, tensor<i32>) -> (tensor<2x6x1xf32>, tensor<2x6x16xf32>, tensor<f32>, tensor<i1>)
    %cst_3 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %19 = stablehlo.broadcast_in_dim %cst_3, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %20 = stablehlo.add %18#0, %19 : tensor<2x6x1xf32>
    %21 = stablehlo.rsqrt %20 : tensor<2x6x1xf32>
    %22 = stablehlo.divide %21, %20 : tensor<2x6x1xf32>
    %cst_4 = stablehlo.constant dense<-5.000000e-01> : tensor<f32>
    %23 = stablehlo.broadcast_in_dim %cst_4, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %24 = stablehlo.multiply %23, %22 : tensor<2x6x1xf32>
    %25 = stablehlo.broadcast_in_dim %21, dims = [0, 1, 2] : (tensor<2x6x1xf32>) -> tensor<2x6x16xf32>
    %26 = stablehlo.multiply %17, %25 : tensor<2x6x16xf32>
    %27 = stablehlo.dot_general %26, %1, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<16x48xf32>) -> tensor<2x6x48xf32>
    %28 = stablehlo.slice %27 [0:2, 0:6, 0:16] : (tensor<2x6x48xf32>) -> tensor<2x6x16xf32>
    %29 = stablehlo.slice %27 [0:2, 0:6, 16:32] : (tensor<2x6x48xf32>) -> tensor<2x6x16xf32>
    %30 = stablehlo.slice %27 [0:2, 0:6, 32:48] : (tensor<2x6x48xf32>) -> tensor<2x6x16xf32>
    %31 = stablehlo.reshape %28 : (tensor<2x6x16xf32>) -> tensor<2x6x2x8xf32>
    %32 = stablehlo.transpose %31, dims = [0, 2, 1, 3] : (tensor<2x6x2x8xf32>) -> tensor<2x2x6x8xf32>
    %33 = stablehlo.reshape %29 : (tensor<2x6x16xf32>) -> tensor<2x6x2x8xf32>
    %34 = stablehlo.transpose %33, dims = [0, 2, 1, 3] : (tensor<2x6x2x8xf32>) -> tensor<2x2x6x8xf32>
    %35 = stablehlo.reshape %30 : (tensor<2x6x16xf32>) -> tensor<2x6x2x8xf32>
    %36 = stablehlo.transpose %35, dims = [0, 2, 1, 3] : (tensor<2x6x2x8xf32>) -> tensor<2x2x6x8xf32>
    %37 = stablehlo.transpose %34, dims = [0, 1, 3, 2] : (tensor<2x2x6x8xf32>) -> tensor<2x2x8x6xf32>
    %38 = stablehlo.dot_general %32, %37, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2], precision = [DEFAULT, DEFAULT] : (tensor<2x2x6x8xf32>, tensor<2x2x8x6xf32>) -> tensor<2x2x6x6xf32>
    %cst_5 = stablehlo.constant dense<2.82842708> : tensor<f32>
    %39 = stablehlo.broadcast_in_dim %cst_5, dims = [] : (tensor<f32>) -> tensor<2x2x6x6xf32>
    %40 = stablehlo.divide %38, %39 : tensor<2x2x6x6xf32>
    %c_6 = stablehlo.constant dense<true> : tensor<i1>
    %41 = stablehlo.broadcast_in_dim %c_6, dims = [] : (tensor<i1>) -> tensor<6x6xi1>
    %42 = call @tril(%41) : (tensor<6x6xi1>) -> tensor<6x6xi1>
    %43 = stablehlo.broadcast_in_dim %arg1, dims = [0, 3] : (tensor<2x6xi1>) -> tensor<2x1x1x6xi1>
    %44 = stablehlo.broadcast_in_dim %42, dims = [2, 3] : (tensor<6x6xi1>) -> tensor<1x1x6x6xi1>
    %45 = stablehlo.broadcast_in_dim %44, dims = [0, 1, 2, 3] : (tensor<1x1x6x6xi1>) -> tensor<2x1x6x6xi1>
    %46 = stablehlo.broadcast_in_dim %43, dims = [0, 1, 2, 3] : (tensor<2x1x1x6xi1>) -> tensor<2x1x6x6xi1>
    %47 = stablehlo.and %45, %46 : tensor<2x1x6x6xi1>
    %cst_7 = stablehlo.constant dense<-1.000000e+09> : tensor<f32>
    %48:2 = call @_where_0(%47, %40, %cst_7) : (tensor<2x1x6x6xi1>, tensor<2x2x6x6xf32>, tensor<f32>) -> (tensor<2x2x6x6xf32>, tensor<2x2x6x6xi1>)
    %cst_8 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %49 = stablehlo.reduce(%48#0 init: %cst_8) applies stablehlo.maximum across dimensions = [3] : (tensor<2x2x6x6xf32>, tensor<f32>) -> tensor<2x2x6xf32>
    %cst_9 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %50 = stablehlo.broadcast_in_dim %cst_9, dims = [] : (tensor<f32>) -> tensor<2x2x6xf32>
    %51 = stablehlo.maximum %50, %49 : tensor<2x2x6xf32>
    %52 = stablehlo.broadcast_in_dim %51, dims = [0, 1, 2] : (tensor<2x2x6xf32>) -> tensor<2x2x6x1xf32>
    %53 = stablehlo.broadcast_in_dim %52, dims = [0, 1, 2, 3] : (tensor<2x2x6x1xf32>) -> tensor<2x2x6x6xf32>
    %54 = stablehlo.subtract %48#0, %53 : tensor<2x2x6x6xf32>
    %55 = stablehlo.exponential %54 : tensor<2x2x6x6xf32>
    %cst_10 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %56 = stablehlo.reduce(%55 init: %cst_10) applies stablehlo.add across dimensions = [3] : (tensor<2x2x6x6xf32>, tensor<f32>) -> tensor<2x2x6xf32>
    %57 = stablehlo.broadcast_in_dim %56, dims = [0, 1, 2] : (tensor<2x2x6xf32>) -> tensor<2x2x6x1xf32>
    %58 = stablehlo.broadcast_in_dim %57, dims = [0, 1, 2, 3] : (tensor<2x2x6x1xf32>) -> tensor<2x2x6x6xf32>
    %59 = stablehlo.divide %55, %58 : tensor<2x2x6x6xf32>
    %60 = stablehlo.multiply %57, %57 : tensor<2x2x6x1xf32>
    %cst_11 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %61 = stablehlo.broadcast_in_dim %cst_11, dims = [] : (tensor<f32>) -> tensor<2x2x6x1xf32>
    %62 = stablehlo.divide %61, %60 : tensor<2x2x6x1xf32>
    %63 = stablehlo.dot_general %59, %36, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2], precision = [DEFAULT, DEFAULT] : (tensor<2x2x6x6xf32>, tensor<2x2x6x8xf32>) -> tensor<2x2x6x8xf32>
    %64 = stablehlo.transpose %63, dims = [0, 2, 1, 3] : (tensor<2x2x6x8xf32>) -> tensor<2x6x2x8xf32>
    %65 = stablehlo.reshape %64 : (tensor<2x6x2x8xf32>) -> tensor<2x6x16xf32>
    %66 = stablehlo.dot_general %65, %2, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<16x16xf32>) -> tensor<2x6x16xf32>
    %67 = stablehlo.add %11, %66 : tensor<2x6x16xf32>
    %68 = stablehlo.dot_general %67, %3, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<16x32xf32>) -> tensor<2x6x32xf32>
    %69 = stablehlo.multiply %68, %68 : tensor<2x6x32xf32>
    %70 = stablehlo.multiply %69, %68 : tensor<2x6x32xf32>
    %71 = stablehlo.multiply %68, %68 : tensor<2x6x32xf32>
    %cst_12 = stablehlo.constant dense<3.000000e+00> : tensor<f32>
    %72 = stablehlo.broadcast_in_dim %cst_12, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %73 = stablehlo.multiply %72, %71 : tensor<2x6x32xf32>
    %cst_13 = stablehlo.constant dense<4.471500e-02> : tensor<f32>
    %74 = stablehlo.broadcast_in_dim %cst_13, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %75 = stablehlo.multiply %74, %70 : tensor<2x6x32xf32>
    %76 = stablehlo.add %68, %75 : tensor<2x6x32xf32>
    %cst_14 = stablehlo.constant dense<0.797884583> : tensor<f32>
    %77 = stablehlo.broadcast_in_dim %cst_14, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %78 = stablehlo.multiply %77, %76 : tensor<2x6x32xf32>
    %79 = stablehlo.tanh %78 : tensor<2x6x32xf32>
    %cst_15 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %80 = stablehlo.broadcast_in_dim %cst_15, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %81 = stablehlo.add %80, %79 : tensor<2x6x32xf32>
    %cst_16 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %82 = stablehlo.broadcast_in_dim %cst_16, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %83 = stablehlo.subtract %82, %79 : tensor<2x6x32xf32>
    %84 = stablehlo.multiply %81, %83 : tensor<2x6x32xf32>
    %cst_17 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %85 = stablehlo.broadcast_in_dim %cst_17, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %86 = stablehlo.add %85, %79 : tensor<2x6x32xf32>
    %cst_18 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %87 = stablehlo.broadcast_in_dim %cst_18, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %88 = stablehlo.multiply %87, %86 : tensor<2x6x32xf32>
    %89 = stablehlo.multiply %68, %88 : tensor<2x6x32xf32>
    %90 = stablehlo.dot_general %89, %4, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x6x32xf32>, tensor<32x16xf32>) -> tensor<2x6x16xf32>
    %91 = stablehlo.add %67, %90 : tensor<2x6x16xf32>
    %92 = stablehlo.transpose %0, dims = [1, 0] : (tensor<13x16xf32>) -> tensor<16x13xf32>
    %93 = stablehlo.dot_general %91, %92, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<16x13xf32>) -> tensor<2x6x13xf32>
    %94:3 = call @log_softmax(%93) : (tensor<2x6x13xf32>) -> (tensor<2x6x13xf32>, tensor<2x6x13xf32>, tensor<2x6x1xf32>)
    %95 = stablehlo.slice %94#0 [0:2, 0:5, 0:13] : (tensor<2x6x13xf32>) -> tensor<2x5x13xf32>
    %96 = stablehlo.slice %arg0 [0:2, 1:6] : (tensor<2x6xi32>) -> tensor<2x5xi32>
    %97 = stablehlo.broadcast_in_dim %96, dims = [0, 1] : (tensor<2x5xi32>) -> tensor<2x5x1xi32>
    %98:2 = call @take_along_axis(%95, %97) : (tensor<2x5x13xf32>, tensor<2x5x1xi32>) -> (tensor<2x5x1xf32>, tensor<2x5x1x1xi32>)
    %99 = stablehlo.reshape %98#0 : (tensor<2x5x1xf32>) -> tensor<2x5xf32>
    %100 = stablehlo.slice %arg1 [0:2, 1:6] : (tensor<2x6xi1>) -> tensor<2x5xi1>
    %101 = stablehlo.convert %100 : (tensor<2x5xi1>) -> tensor<2x5xf32>
    %102 = stablehlo.multiply %99, %101 : tensor<2x5xf32>
    %cst_19 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %103 = stablehlo.reduce(%102 init: %cst_19) applies stablehlo.add across dimensions = [0, 1] : (tensor<2x5xf32>, tensor<f32>) -> tensor<f32>
    %104 = stablehlo.negate %103 : tensor<f32>
    %105 = stablehlo.slice %arg1 [0:2, 1:6] : (tensor<2x6xi1>) -> tensor<2x5xi1>
    %106 = stablehlo.convert %105 : (tensor<2x5xi1>) -> tensor<2x5xi32>
    %c_20 = stablehlo.constant dense<0> : tensor<i32>
    %107 = stablehlo.reduce(%106 init: %c_20) applies stablehlo.add across dimensions = [0, 1] : (tensor<2x5xi32>, tensor<i32>) -> tensor<i32>
    %108 = stablehlo.convert %107 : (tensor<i32>) -> tensor<f32>
    %109 = stablehlo.divide %104, %108 : tensor<f32>
    %cst_21 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %110 = stablehlo.divide %cst_21, %108 : tensor<f32>
    %111 = stablehlo.negate %110 : tensor<f32>
    %112 = stablehlo.broadcast_in_dim %111, dims = [] : (tensor<f32>) -> tensor<2x5xf32>
    %113 = stablehlo.multiply %112, %101 : tensor<2x5xf32>
    %114 = stablehlo.broadcast_in_dim %113, dims = [0, 1] : (tensor<2x5xf32>) -> tensor<2x5x1xf32>
    %115 = call @take_along_axis_1(%98#1, %114) : (tensor<2x5x1x1xi32>, tensor<2x5x1xf32>) -> tensor<2x5x13xf32>
    %cst_22 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %116 = stablehlo.pad %115, %cst_22, low = [0, 0, 0], high = [0, 1, 0], interior = [0, 0, 0] : (tensor<2x5x13xf32>, tensor<f32>) -> tensor<2x6x13xf32>
    %117 = call @log_softmax_2(%94#1, %94#2, %116) : (tensor<2x6x13xf32>, tensor<2x6x1xf32>, tensor<2x6x13xf32>) -> tensor<2x6x13xf32>
    %118 = stablehlo.dot_general %117, %91, contracting_dims = [0, 1] x [0, 1], precision = [DEFAULT, DEFAULT] : (tensor<2x6x13xf32>, tensor<2x6x16xf32>) -> tensor<13x16xf32>
    %119 = stablehlo.transpose %118, dims = [1, 0] : (tensor<13x16xf32>) -> tensor<16x13xf32>
    %120 = stablehlo.dot_general %117, %92, contracting_dims = [2] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x6x13xf32>, tensor<16x13xf32>) -> tensor<2x6x16xf32>
    %121 = stablehlo.transpose %119, dims = [1, 0] : (tensor<16x13xf32>) -> tensor<13x16xf32>
    %122 = stablehlo.dot_general %120, %89, contracting_dims = [0, 1] x [0, 1], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<2x6x32xf32>) -> tensor<16x32xf32>
    %123 = stablehlo.transpose %122, dims = [1, 0] : (tensor<16x32xf32>) -> tensor<32x16xf32>
    %124 = stablehlo.dot_general %120, %4, contracting_dims = [2] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<32x16xf32>) -> tensor<2x6x32xf32>
    %125 = stablehlo.multiply %68, %124 : tensor<2x6x32xf32>
    %126 = stablehlo.multiply %124, %88 : tensor<2x6x32xf32>
    %cst_23 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %127 = stablehlo.broadcast_in_dim %cst_23, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %128 = stablehlo.multiply %127, %125 : tensor<2x6x32xf32>
    %129 = stablehlo.multiply %128, %84 : tensor<2x6x32xf32>
    %cst_24 = stablehlo.constant dense<0.797884583> : tensor<f32>
    %130 = stablehlo.broadcast_in_dim %cst_24, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %131 = stablehlo.multiply %130, %129 : tensor<2x6x32xf32>
    %132 = stablehlo.add %126, %131 : tensor<2x6x32xf32>
    %cst_25 = stablehlo.constant dense<4.471500e-02> : tensor<f32>
    %133 = stablehlo.broadcast_in_dim %cst_25, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %134 = stablehlo.multiply %133, %131 : tensor<2x6x32xf32>
    %135 = stablehlo.multiply %134, %73 : tensor<2x6x32xf32>
    %136 = stablehlo.add %132, %135 : tensor<2x6x32xf32>
    %137 = stablehlo.dot_general %136, %67, contracting_dims = [0, 1] x [0, 1], precision = [DEFAULT, DEFAULT] : (tensor<2x6x32xf32>, tensor<2x6x16xf32>) -> tensor<32x16xf32>
    %138 = stablehlo.transpose %137, dims = [1, 0] : (tensor<32x16xf32>) -> tensor<16x32xf32>
    %139 = stablehlo.dot_general %136, %3, contracting_dims = [2] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x6x32xf32>, tensor<16x32xf32>) -> tensor<2x6x16xf32>
    %140 = stablehlo.add %120, %139 : tensor<2x6x16xf32>
    %141 = stablehlo.dot_general %140, %65, contracting_dims = [0, 1] x [0, 1], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<2x6x16xf32>) -> tensor<16x16xf32>
    %142 = stablehlo.transpose %141, dims = [1, 0] : (tensor<16x16xf32>) -> tensor<16x16xf32>
    %143 = stablehlo.dot_general %140, %2, contracting_dims = [2] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<16x16xf32>) -> tensor<2x6x16xf32>
    %144 = stablehlo.reshape %143 : (tensor<2x6x16xf32>) -> tensor<2x6x2x8xf32>
    %145 = stablehlo.transpose %144, dims = [0, 2, 1, 3] : (tensor<2x6x2x8xf32>) -> tensor<2x2x6x8xf32>
    %146 = stablehlo.dot_general %145, %59, batching_dims = [0, 1] x [0, 1], contracting_dims = [2] x [2], precision = [DEFAULT, DEFAULT] : (tensor<2x2x6x8xf32>, tensor<2x2x6x6xf32>) -> tensor<2x2x8x6xf32>
    %147 = stablehlo.transpose %146, dims = [0, 1, 3, 2] : (tensor<2x2x8x6xf32>) -> tensor<2x2x6x8xf32>
    %148 = stablehlo.dot_general %145, %36, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x2x6x8xf32>, tensor<2x2x6x8xf32>) -> tensor<2x2x6x6xf32>
    %149 = stablehlo.broadcast_in_dim %62, dims = [0, 1, 2, 3] : (tensor<2x2x6x1xf32>) -> tensor<2x2x6x6xf32>
    %150 = stablehlo.multiply %148, %149 : tensor<2x2x6x6xf32>
    %151 = stablehlo.multiply %150, %55 : tensor<2x2x6x6xf32>
    %cst_26 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %152 = stablehlo.reduce(%151 init: %cst_26) applies stablehlo.add across dimensions = [3] : (tensor<2x2x6x6xf32>, tensor<f32>) -> tensor<2x2x6xf32>
    %153 = stablehlo.reshape %152 : (tensor<2x2x6xf32>) -> tensor<2x2x6x1xf32>
    %154 = stablehlo.negate %153 : tensor<2x2x6x1xf32>
    %155 = stablehlo.broadcast_in_dim %57, dims = [0, 1, 2, 3] : (tensor<2x2x6x1xf32>) -> tensor<2x2x6x6xf32>
    %156 = stablehlo.divide %148, %155 : tensor<2x2x6x6xf32>
    %cst_27 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %157 = stablehlo.reduce(%154 init: %cst_27) applies stablehlo.add across dimensions = [3] : (tensor<2x2x6x1xf32>, tensor<f32>) -> tensor<2x2x6xf32>
    %158 = stablehlo.broadcast_in_dim %157, dims = [0, 1, 2] : (tensor<2x2x6xf32>) -> tensor<2x2x6x6xf32>
    %159 = stablehlo.add %156, %158 : tensor<2x2x6x6xf32>
    %160 = stablehlo.multiply %159, %55 : tensor<2x2x6x6xf32>
    %161 = call @_where_3(%48#1, %160) : (tensor<2x2x6x6xi1>, tensor<2x2x6x6xf32>) -> tensor<2x2x6x6xf32>
    %cst_28 = stablehlo.constant dense<2.82842708> : tensor<f32>
    %162 = stablehlo.broadcast_in_dim %cst_28, dims = [] : (tensor<f32>) -> tensor<2x2x6x6xf32>
    %163 = stablehlo.divide %161, %162 : tensor<2x2x6x6xf32>
    %164 = stablehlo.dot_general %163, %32, batching_dims = [0, 1] x [0, 1], contracting_dims = [2] x [2], precision = [DEFAULT, DEFAULT] : (tensor<2x2x6x6xf32>, tensor<2x2x6x8xf32>) -> tensor<2x2x6x8xf32>
    %165 = stablehlo.transpose %164, dims = [0, 1, 3, 2] : (tensor<2x2x6x8xf32>) -> tensor<2x2x8x6xf32>
    %166 = stablehlo.dot_general %163, %37, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x2x6x6xf32>, tensor<2x2x8x6xf32>) -> tensor<2x2x6x8xf32>
    %167 = stablehlo.transpose %165, dims = [0, 1, 3, 2] : (tensor<2x2x8x6xf32>) -> tensor<2x2x6x8xf32>
    %168 = stablehlo.transpose %147, dims = [0, 2, 1, 3] : (tensor<2x2x6x8xf32>) -> tensor<2x6x2x8xf32>
    %169 = stablehlo.reshape %168 : (tensor<2x6x2x8xf32>) -> tensor<2x6x16xf32>
    %170 = stablehlo.transpose %167, dims = [0, 2, 1, 3] : (tensor<2x2x6x8xf32>) -> tensor<2x6x2x8xf32>
    %171 = stablehlo.reshape %170 : (tensor<2x6x2x8xf32>) -> tensor<2x6x16xf32>
    %172 = stablehlo.transpose %166, dims = [0, 2, 1, 3] : (tensor<2x2x6x8xf32>) -> tensor<2x6x2x8xf32>
    %173 = stablehlo.reshape %172 : (tensor<2x6x2x8xf32>) -> tensor<2x6x16xf32>
    %174 = stablehlo.concatenate %173, %171, %169, dim = 2 : (tensor<2x6x16xf32>, tensor<2x6x16xf32>, tensor<2x6x16xf32>) -> tensor<2x6x48xf32>
    %175 = stablehlo.dot_general %174, %26, contracting_dims = [0, 1] x [0, 1], precision = [DEFAULT, DEFAULT] : (tensor<2x6x48xf32>, tensor<2x6x16xf32>) -> tensor<48x16xf32>
    %176 = stablehlo.transpose %175, dims = [1, 0] : (tensor<48x16xf32>) -> tensor<16x48xf32>
    %177 = stablehlo.dot_general %174, %1, contracting_dims = [2] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x6x48xf32>, tensor<16x48xf32>) -> tensor<2x6x16xf32>
    %178 = stablehlo.multiply %17, %177 : tensor<2x6x16xf32>
    %cst_29 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %179 = stablehlo.reduce(%178 init: %cst_29) applies stablehlo.add across dimensions = [2] : (tensor<2x6x16xf32>, tensor<f32>) -> tensor<2x6xf32>
    %180 = stablehlo.reshape %179 : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %181 = stablehlo.broadcast_in_dim %21, dims = [0, 1, 2] : (tensor<2x6x1xf32>) -> tensor<2x6x16xf32>
    %182 = stablehlo.multiply %177, %181 : tensor<2x6x16xf32>
    %183 = stablehlo.multiply %180, %24 : tensor<2x6x1xf32>
    %184 = call @_var_4(%18#1, %18#2, %18#3, %183) : (tensor<2x6x16xf32>, tensor<f32>, tensor<i1>, tensor<2x6x1xf32>) -> tensor<2x6x16xf32>
    %185 = stablehlo.add %140, %184 : tensor<2x6x16xf32>
    %186 = stablehlo.negate %182 : tensor<2x6x16xf32>
    %cst_30 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %187 = stablehlo.reduce(%186 init: %cst_30) applies stablehlo.add across dimensions = [2] : (tensor<2x6x16xf32>, tensor<f32>) -> tensor<2x6xf32>
    %188 = stablehlo.reshape %187 : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %189 = stablehlo.add %185, %182 : tensor<2x6x16xf32>
    %cst_31 = stablehlo.constant dense<1.600000e+01> : tensor<f32>
    %190 = stablehlo.broadcast_in_dim %cst_31, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %191 = stablehlo.divide %188, %190 : tensor<2x6x1xf32>
    %cst_32 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %192 = stablehlo.reduce(%191 init: %cst_32) applies stablehlo.add across dimensions = [2] : (tensor<2x6x1xf32>, tensor<f32>) -> tensor<2x6xf32>
    %193 = stablehlo.broadcast_in_dim %192, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x16xf32>
    %194 = stablehlo.add %189, %193 : tensor<2x6x16xf32>
    %cst_33 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %195 = stablehlo.broadcast_in_dim %cst_33, dims = [] : (tensor<f32>) -> tensor<13x16xf32>
    %196 = "stablehlo.scatter"(%195, %10, %194) <{indices_are_sorted = false, scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [2], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 2>, unique_indices = false}> ({
    ^bb0(%arg7: tensor<f32>, %arg8: tensor<f32>):
      %272 = stablehlo.add %arg7, %arg8 : tensor<f32>
      stablehlo.return %272 : tensor<f32>
    }) : (tensor<13x16xf32>, tensor<2x6x1xi32>, tensor<2x6x16xf32>) -> tensor<13x16xf32>
    %197 = stablehlo.add %121, %196 : tensor<13x16xf32>
    %c_34 = stablehlo.constant dense<0> : tensor<i32>
    %198 = stablehlo.broadcast_in_dim %c_34, dims = [] : (tensor<i32>) -> tensor<2x6xi32>
    %199 = stablehlo.compare LT, %arg0, %198, SIGNED : (tensor<2x6xi32>, tensor<2x6xi32>) -> tensor<2x6xi1>
    %c_35 = stablehlo.constant dense<13> : tensor<i32>
    %200 = stablehlo.broadcast_in_dim %c_35, dims = [] : (tensor<i32>) -> tensor<2x6xi32>
    %201 = stablehlo.add %arg0, %200 : tensor<2x6xi32>
    %202 = stablehlo.select %199, %201, %arg0 : tensor<2x6xi1>, tensor<2x6xi32>
    %203 = stablehlo.broadcast_in_dim %202, dims = [0, 1] : (tensor<2x6xi32>) -> tensor<2x6x1xi32>
    %204 = "stablehlo.gather"(%0, %203) <{dimension_numbers = #stablehlo.gather<offset_dims = [2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, indices_are_sorted = false, slice_sizes = array<i64: 1, 16>}> : (tensor<13x16xf32>, tensor<2x6x1xi32>) -> tensor<2x6x16xf32>
    %cst_36 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %205 = stablehlo.reduce(%204 init: %cst_36) applies stablehlo.add across dimensions = [2] : (tensor<2x6x16xf32>, tensor<f32>) -> tensor<2x6xf32>
    %206 = stablehlo.broadcast_in_dim %205, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %cst_37 = stablehlo.constant dense<1.600000e+01> : tensor<f32>
    %207 = stablehlo.broadcast_in_dim %cst_37, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %208 = stablehlo.divide %206, %207 : tensor<2x6x1xf32>
    %209 = stablehlo.broadcast_in_dim %208, dims = [0, 1, 2] : (tensor<2x6x1xf32>) -> tensor<2x6x16xf32>
    %210 = stablehlo.subtract %204, %209 : tensor<2x6x16xf32>
    %c_38 = stablehlo.constant dense<0> : tensor<i32>
    %211 = call @_var_6(%204, %c_38) : (tensor<2x6x16xf32>, tensor<i32>) -> tensor<2x6x1xf32>
    %cst_39 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %212 = stablehlo.broadcast_in_dim %cst_39, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %213 = stablehlo.add %211, %212 : tensor<2x6x1xf32>
    %214 = stablehlo.rsqrt %213 : tensor<2x6x1xf32>
    %215 = stablehlo.broadcast_in_dim %214, dims = [0, 1, 2] : (tensor<2x6x1xf32>) -> tensor<2x6x16xf32>
    %216 = stablehlo.multiply %210, %215 : tensor<2x6x16xf32>
    %217 = stablehlo.dot_general %216, %1, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<16x48xf32>) -> tensor<2x6x48xf32>
    %218 = stablehlo.slice %217 [0:2, 0:6, 0:16] : (tensor<2x6x48xf32>) -> tensor<2x6x16xf32>
    %219 = stablehlo.slice %217 [0:2, 0:6, 16:32] : (tensor<2x6x48xf32>) -> tensor<2x6x16xf32>
    %220 = stablehlo.slice %217 [0:2, 0:6, 32:48] : (tensor<2x6x48xf32>) -> tensor<2x6x16xf32>
    %221 = stablehlo.reshape %218 : (tensor<2x6x16xf32>) -> tensor<2x6x2x8xf32>
    %222 = stablehlo.transpose %221, dims = [0, 2, 1, 3] : (tensor<2x6x2x8xf32>) -> tensor<2x2x6x8xf32>
    %223 = stablehlo.reshape %219 : (tensor<2x6x16xf32>) -> tensor<2x6x2x8xf32>
    %224 = stablehlo.transpose %223, dims = [0, 2, 1, 3] : (tensor<2x6x2x8xf32>) -> tensor<2x2x6x8xf32>
    %225 = stablehlo.reshape %220 : (tensor<2x6x16xf32>) -> tensor<2x6x2x8xf32>
    %226 = stablehlo.transpose %225, dims = [0, 2, 1, 3] : (tensor<2x6x2x8xf32>) -> tensor<2x2x6x8xf32>
    %227 = stablehlo.transpose %224, dims = [0, 1, 3, 2] : (tensor<2x2x6x8xf32>) -> tensor<2x2x8x6xf32>
    %228 = stablehlo.dot_general %222, %227, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2], precision = [DEFAULT, DEFAULT] : (tensor<2x2x6x8xf32>, tensor<2x2x8x6xf32>) -> tensor<2x2x6x6xf32>
    %cst_40 = stablehlo.constant dense<2.82842708> : tensor<f32>
    %229 = stablehlo.broadcast_in_dim %cst_40, dims = [] : (tensor<f32>) -> tensor<2x2x6x6xf32>
    %230 = stablehlo.divide %228, %229 : tensor<2x2x6x6xf32>
    %c_41 = stablehlo.constant dense<true> : tensor<i1>
    %231 = stablehlo.broadcast_in_dim %c_41, dims = [] : (tensor<i1>) -> tensor<6x6xi1>
    %232 = call @tril(%231) : (tensor<6x6xi1>) -> tensor<6x6xi1>
    %233 = stablehlo.broadcast_in_dim %arg1, dims = [0, 3] : (tensor<2x6xi1>) -> tensor<2x1x1x6xi1>
    %234 = stablehlo.broadcast_in_dim %232, dims = [2, 3] : (tensor<6x6xi1>) -> tensor<1x1x6x6xi1>
    %235 = stablehlo.broadcast_in_dim %234, dims = [0, 1, 2, 3] : (tensor<1x1x6x6xi1>) -> tensor<2x1x6x6xi1>
    %236 = stablehlo.broadcast_in_dim %233, dims = [0, 1, 2, 3] : (tensor<2x1x1x6xi1>) -> tensor<2x1x6x6xi1>
    %237 = stablehlo.and %235, %236 : tensor<2x1x6x6xi1>
    %cst_42 = stablehlo.constant dense<-1.000000e+09> : tensor<f32>
    %238 = call @_where_8(%237, %230, %cst_42) : (tensor<2x1x6x6xi1>, tensor<2x2x6x6xf32>, tensor<f32>) -> tensor<2x2x6x6xf32>
    %cst_43 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %239 = stablehlo.reduce(%238 init: %cst_43) applies stablehlo.maximum across dimensions = [3] : (tensor<2x2x6x6xf32>, tensor<f32>) -> tensor<2x2x6xf32>
    %cst_44 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %240 = stablehlo.broadcast_in_dim %cst_44, dims = [] : (tensor<f32>) -> tensor<2x2x6xf32>
    %241 = stablehlo.maximum %240, %239 : tensor<2x2x6xf32>
    %242 = stablehlo.broadcast_in_dim %241, dims = [0, 1, 2] : (tensor<2x2x6xf32>) -> tensor<2x2x6x1xf32>
    %243 = stablehlo.broadcast_in_dim %242, dims = [0, 1, 2, 3] : (tensor<2x2x6x1xf32>) -> tensor<2x2x6x6xf32>
    %244 = stablehlo.subtract %238, %243 : tensor<2x2x6x6xf32>
    %245 = stablehlo.exponential %244 : tensor<2x2x6x6xf32>
    %cst_45 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %246 = stablehlo.reduce(%245 init: %cst_45) applies stablehlo.add across dimensions = [3] : (tensor<2x2x6x6xf32>, tensor<f32>) -> tensor<2x2x6xf32>
    %247 = stablehlo.broadcast_in_dim %246, dims = [0, 1, 2] : (tensor<2x2x6xf32>) -> tensor<2x2x6x1xf32>
    %248 = stablehlo.broadcast_in_dim %247, dims = [0, 1, 2, 3] : (tensor<2x2x6x1xf32>) -> tensor<2x2x6x6xf32>
    %249 = stablehlo.divide %245, %248 : tensor<2x2x6x6xf32>
    %250 = stablehlo.dot_general %249, %226, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2], precision = [DEFAULT, DEFAULT] : (tensor<2x2x6x6xf32>, tensor<2x2x6x8xf32>) -> tensor<2x2x6x8xf32>
    %251 = stablehlo.transpose %250, dims = [0, 2, 1, 3] : (tensor<2x2x6x8xf32>) -> tensor<2x6x2x8xf32>
    %252 = stablehlo.reshape %251 : (tensor<2x6x2x8xf32>) -> tensor<2x6x16xf32>
    %253 = stablehlo.dot_general %252, %2, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<16x16xf32>) -> tensor<2x6x16xf32>
    %254 = stablehlo.add %204, %253 : tensor<2x6x16xf32>
    %255 = stablehlo.dot_general %254, %3, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x6x16xf32>, tensor<16x32xf32>) -> tensor<2x6x32xf32>
    %256 = stablehlo.multiply %255, %255 : tensor<2x6x32xf32>
    %257 = stablehlo.multiply %256, %255 : tensor<2x6x32xf32>
    %cst_46 = stablehlo.constant dense<4.471500e-02> : tensor<f32>
    %258 = stablehlo.broadcast_in_dim %cst_46, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %259 = stablehlo.multiply %258, %257 : tensor<2x6x32xf32>
    %260 = stablehlo.add %255, %259 : tensor<2x6x32xf32>
    %cst_47 = stablehlo.constant dense<0.797884583> : tensor<f32>
    %261 = stablehlo.broadcast_in_dim %cst_47, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %262 = stablehlo.multiply %261, %260 : tensor<2x6x32xf32>
    %263 = stablehlo.tanh %262 : tensor<2x6x32xf32>
    %cst_48 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %264 = stablehlo.broadcast_in_dim %cst_48, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %265 = stablehlo.add %264, %263 : tensor<2x6x32xf32>
    %cst_49 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %266 = stablehlo.broadcast_in_dim %cst_49, dims = [] : (tensor<f32>) -> tensor<2x6x32xf32>
    %267 = stablehlo.multiply %266, %265 : tensor<2x6x32xf32>
    %268 = stablehlo.multiply %255, %267 : tensor<2x6x32xf32>
    %269 = stablehlo.dot_general %268, %4, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x6x32xf32>, tensor<32x16xf32>) -> tensor<2x6x16xf32>
    %270 = stablehlo.add %254, %269 : tensor<2x6x16xf32>
    %271 = stablehlo.convert %270 : (tensor<2x6x16xf32>) -> tensor<2x6x16xbf16>
    return %109, %271, %197, %176, %142, %138, %123 : tensor<f32>, tensor<2x6x16xbf16>, tensor<13x16xf32>, tensor<16x48xf32>, tensor<16x16xf32>, tensor<16x32xf32>, tensor<32x16xf32>
  }
  func.func private @_var(%arg0: tensor<2x6x16xf32>, %arg1: tensor<i32>) -> (tensor<2x6x1xf32>, tensor<2x6x16xf32>, tensor<f32>, tensor<i1>) {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x6x16xf32>, tensor<f32>) -> tensor<2x6xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %cst_0 = stablehlo.constant dense<1.600000e+01> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x6x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x6x1xf32>) -> tensor<2x6x16xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x6x16xf32>
    %6 = chlo.square %5 : tensor<2x6x16xf32> -> tensor<2x6x16xf32>
    %cst_1 = stablehlo.constant dense<2.000000e+00> : tensor<f32>
    %7 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<2x6x16xf32>
    %8 = stablehlo.multiply %7, %5 : tensor<2x6x16xf32>
    %9 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_2 = stablehlo.constant dense<1.600000e+01> : tensor<f32>
    %10 = stablehlo.subtract %cst_2, %9 : tensor<f32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %11 = stablehlo.reduce(%6 init: %cst_3) applies stablehlo.add across dimensions = [2] : (tensor<2x6x16xf32>, tensor<f32>) -> tensor<2x6xf32>
    %12 = stablehlo.broadcast_in_dim %11, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %13 = stablehlo.broadcast_in_dim %10, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %14 = stablehlo.divide %12, %13 : tensor<2x6x1xf32>
    %cst_4 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %15 = stablehlo.compare GT, %10, %cst_4, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_5 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %16 = call @_where(%15, %14, %cst_5) : (tensor<i1>, tensor<2x6x1xf32>, tensor<f32>) -> tensor<2x6x1xf32>
    return %16, %8, %10, %15 : tensor<2x6x1xf32>, tensor<2x6x16xf32>, tensor<f32>, tensor<i1>
  }
  func.func private @_where(%arg0: tensor<i1>, %arg1: tensor<2x6x1xf32>, %arg2: tensor<f32>) -> tensor<2x6x1xf32> {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %2 = stablehlo.select %arg0, %arg1, %1 : tensor<i1>, tensor<2x6x1xf32>
    return %2 : tensor<2x6x1xf32>
  }
  func.func private @tril(%arg0: tensor<6x6xi1>) -> tensor<6x6xi1> {
    %0 = stablehlo.iota dim = 0 : tensor<6x6xi32>
    %c = stablehlo.constant dense<0> : tensor<i32>
    %1 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<6x6xi32>
    %2 = stablehlo.add %0, %1 : tensor<6x6xi32>
    %3 = stablehlo.iota dim = 1 : tensor<6x6xi32>
    %4 = stablehlo.compare GE, %2, %3, SIGNED : (tensor<6x6xi32>, tensor<6x6xi32>) -> tensor<6x6xi1>
    %c_0 = stablehlo.constant dense<false> : tensor<i1>
    %5 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i1>) -> tensor<6x6xi1>
    %6 = stablehlo.select %4, %arg0, %5 : tensor<6x6xi1>, tensor<6x6xi1>
    return %6 : tensor<6x6xi1>
  }
  func.func private @_where_0(%arg0: tensor<2x1x6x6xi1>, %arg1: tensor<2x2x6x6xf32>, %arg2: tensor<f32>) -> (tensor<2x2x6x6xf32>, tensor<2x2x6x6xi1>) {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %arg0, dims = [0, 1, 2, 3] : (tensor<2x1x6x6xi1>) -> tensor<2x2x6x6xi1>
    %2 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2x2x6x6xf32>
    %3 = stablehlo.select %1, %arg1, %2 : tensor<2x2x6x6xi1>, tensor<2x2x6x6xf32>
    return %3, %1 : tensor<2x2x6x6xf32>, tensor<2x2x6x6xi1>
  }
  func.func private @log_softmax(%arg0: tensor<2x6x13xf32>) -> (tensor<2x6x13xf32>, tensor<2x6x13xf32>, tensor<2x6x1xf32>) {
    %cst = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.maximum across dimensions = [2] : (tensor<2x6x13xf32>, tensor<f32>) -> tensor<2x6xf32>
    %cst_0 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x6xf32>
    %2 = stablehlo.maximum %1, %0 : tensor<2x6xf32>
    %3 = stablehlo.broadcast_in_dim %2, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x6x1xf32>) -> tensor<2x6x13xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x6x13xf32>
    %6 = stablehlo.exponential %5 : tensor<2x6x13xf32>
    %cst_1 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %7 = stablehlo.reduce(%6 init: %cst_1) applies stablehlo.add across dimensions = [2] : (tensor<2x6x13xf32>, tensor<f32>) -> tensor<2x6xf32>
    %8 = stablehlo.broadcast_in_dim %7, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %9 = stablehlo.log %8 : tensor<2x6x1xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1, 2] : (tensor<2x6x1xf32>) -> tensor<2x6x13xf32>
    %11 = stablehlo.subtract %5, %10 : tensor<2x6x13xf32>
    return %11, %6, %8 : tensor<2x6x13xf32>, tensor<2x6x13xf32>, tensor<2x6x1xf32>
  }
  func.func private @take_along_axis(%arg0: tensor<2x5x13xf32>, %arg1: tensor<2x5x1xi32>) -> (tensor<2x5x1xf32>, tensor<2x5x1x1xi32>) {
    %c = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<2x5x1xi32>
    %1 = stablehlo.compare LT, %arg1, %0, SIGNED : (tensor<2x5x1xi32>, tensor<2x5x1xi32>) -> tensor<2x5x1xi1>
    %c_0 = stablehlo.constant dense<13> : tensor<i32>
    %2 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<2x5x1xi32>
    %3 = stablehlo.add %arg1, %2 : tensor<2x5x1xi32>
    %4 = stablehlo.select %1, %3, %arg1 : tensor<2x5x1xi1>, tensor<2x5x1xi32>
    %5 = stablehlo.reshape %4 : (tensor<2x5x1xi32>) -> tensor<2x5x1x1xi32>
    %c_1 = stablehlo.constant dense<12> : tensor<1xi32>
    %c_2 = stablehlo.constant dense<0> : tensor<i32>
    %6 = stablehlo.broadcast_in_dim %c_2, dims = [] : (tensor<i32>) -> tensor<2x5x1x1xi32>
    %7 = stablehlo.compare GE, %5, %6, SIGNED : (tensor<2x5x1x1xi32>, tensor<2x5x1x1xi32>) -> tensor<2x5x1x1xi1>
    %8 = stablehlo.broadcast_in_dim %c_1, dims = [3] : (tensor<1xi32>) -> tensor<1x1x1x1xi32>
    %9 = stablehlo.broadcast_in_dim %8, dims = [0, 1, 2, 3] : (tensor<1x1x1x1xi32>) -> tensor<2x5x1x1xi32>
    %10 = stablehlo.compare LE, %5, %9, SIGNED : (tensor<2x5x1x1xi32>, tensor<2x5x1x1xi32>) -> tensor<2x5x1x1xi1>
    %11 = stablehlo.and %7, %10 : tensor<2x5x1x1xi1>
    %c_3 = stablehlo.constant dense<true> : tensor<i1>
    %12 = stablehlo.reduce(%11 init: %c_3) applies stablehlo.and across dimensions = [3] : (tensor<2x5x1x1xi1>, tensor<i1>) -> tensor<2x5x1xi1>
    %13 = "stablehlo.gather"(%arg0, %5) <{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [2], operand_batching_dims = [0, 1], start_indices_batching_dims = [0, 1], start_index_map = [2], index_vector_dim = 3>, indices_are_sorted = false, slice_sizes = array<i64: 1, 1, 1>}> : (tensor<2x5x13xf32>, tensor<2x5x1x1xi32>) -> tensor<2x5x1xf32>
    %cst = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x5x1xf32>
    %15 = stablehlo.select %12, %13, %14 : tensor<2x5x1xi1>, tensor<2x5x1xf32>
    return %15, %5 : tensor<2x5x1xf32>, tensor<2x5x1x1xi32>
  }
  func.func private @take_along_axis_1(%arg0: tensor<2x5x1x1xi32>, %arg1: tensor<2x5x1xf32>) -> tensor<2x5x13xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x5x13xf32>
    %1 = "stablehlo.scatter"(%0, %arg0, %arg1) <{indices_are_sorted = false, scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [2], input_batching_dims = [0, 1], scatter_indices_batching_dims = [0, 1], scatter_dims_to_operand_dims = [2], index_vector_dim = 3>, unique_indices = false}> ({
    ^bb0(%arg2: tensor<f32>, %arg3: tensor<f32>):
      %2 = stablehlo.add %arg2, %arg3 : tensor<f32>
      stablehlo.return %2 : tensor<f32>
    }) : (tensor<2x5x13xf32>, tensor<2x5x1x1xi32>, tensor<2x5x1xf32>) -> tensor<2x5x13xf32>
    return %1 : tensor<2x5x13xf32>
  }
  func.func private @log_softmax_2(%arg0: tensor<2x6x13xf32>, %arg1: tensor<2x6x1xf32>, %arg2: tensor<2x6x13xf32>) -> tensor<2x6x13xf32> {
    %0 = stablehlo.negate %arg2 : tensor<2x6x13xf32>
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1 = stablehlo.reduce(%0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x6x13xf32>, tensor<f32>) -> tensor<2x6xf32>
    %2 = stablehlo.reshape %1 : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %3 = stablehlo.divide %2, %arg1 : tensor<2x6x1xf32>
    %cst_0 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %4 = stablehlo.reduce(%3 init: %cst_0) applies stablehlo.add across dimensions = [2] : (tensor<2x6x1xf32>, tensor<f32>) -> tensor<2x6xf32>
    %5 = stablehlo.broadcast_in_dim %4, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x13xf32>
    %6 = stablehlo.multiply %5, %arg0 : tensor<2x6x13xf32>
    %7 = stablehlo.add %arg2, %6 : tensor<2x6x13xf32>
    return %7 : tensor<2x6x13xf32>
  }
  func.func private @_where_3(%arg0: tensor<2x2x6x6xi1>, %arg1: tensor<2x2x6x6xf32>) -> tensor<2x2x6x6xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x2x6x6xf32>
    %1 = stablehlo.select %arg0, %arg1, %0 : tensor<2x2x6x6xi1>, tensor<2x2x6x6xf32>
    return %1 : tensor<2x2x6x6xf32>
  }
  func.func private @_var_4(%arg0: tensor<2x6x16xf32>, %arg1: tensor<f32>, %arg2: tensor<i1>, %arg3: tensor<2x6x1xf32>) -> tensor<2x6x16xf32> {
    %0 = call @_where_5(%arg2, %arg3) : (tensor<i1>, tensor<2x6x1xf32>) -> tensor<2x6x1xf32>
    %1 = stablehlo.broadcast_in_dim %arg1, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %2 = stablehlo.divide %0, %1 : tensor<2x6x1xf32>
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %3 = stablehlo.reduce(%2 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x6x1xf32>, tensor<f32>) -> tensor<2x6xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x16xf32>
    %5 = stablehlo.multiply %4, %arg0 : tensor<2x6x16xf32>
    %6 = stablehlo.negate %5 : tensor<2x6x16xf32>
    %cst_0 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %7 = stablehlo.reduce(%6 init: %cst_0) applies stablehlo.add across dimensions = [2] : (tensor<2x6x16xf32>, tensor<f32>) -> tensor<2x6xf32>
    %8 = stablehlo.reshape %7 : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %cst_1 = stablehlo.constant dense<1.600000e+01> : tensor<f32>
    %9 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %10 = stablehlo.divide %8, %9 : tensor<2x6x1xf32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %11 = stablehlo.reduce(%10 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x6x1xf32>, tensor<f32>) -> tensor<2x6xf32>
    %12 = stablehlo.broadcast_in_dim %11, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x16xf32>
    %13 = stablehlo.add %5, %12 : tensor<2x6x16xf32>
    return %13 : tensor<2x6x16xf32>
  }
  func.func private @_where_5(%arg0: tensor<i1>, %arg1: tensor<2x6x1xf32>) -> tensor<2x6x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %1 = stablehlo.select %arg0, %arg1, %0 : tensor<i1>, tensor<2x6x1xf32>
    return %1 : tensor<2x6x1xf32>
  }
  func.func private @_var_6(%arg0: tensor<2x6x16xf32>, %arg1: tensor<i32>) -> tensor<2x6x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x6x16xf32>, tensor<f32>) -> tensor<2x6xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %cst_0 = stablehlo.constant dense<1.600000e+01> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x6x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x6x1xf32>) -> tensor<2x6x16xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x6x16xf32>
    %6 = chlo.square %5 : tensor<2x6x16xf32> -> tensor<2x6x16xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<1.600000e+01> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x6x16xf32>, tensor<f32>) -> tensor<2x6xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x6xf32>) -> tensor<2x6x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x6x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where_7(%13, %12, %cst_4) : (tensor<i1>, tensor<2x6x1xf32>, tensor<f32>) -> tensor<2x6x1xf32>
    return %14 : tensor<2x6x1xf32>
  }
  func.func private @_where_7(%arg0: tensor<i1>, %arg1: tensor<2x6x1xf32>, %arg2: tensor<f32>) -> tensor<2x6x1xf32> {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2x6x1xf32>
    %2 = stablehlo.select %arg0, %arg1, %1 : tensor<i1>, tensor<2x6x1xf32>
    return %2 : tensor<2x6x1xf32>
  }
  func.func private @_where_8(%arg0: tensor<2x1x6x6xi1>, %arg1: tensor<2x2x6x6xf32>, %arg2: tensor<f32>) -> tensor<2x2x6x6xf32> {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %arg0, dims = [0, 1, 2, 3] : (tensor<2x1x6x6xi1>) -> tensor<2x2x6x6xi1>
    %2 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2x2x6x6xf32>
    %3 = stablehlo.select %1, %arg1, %2 : tensor<2x2x6x6xi1>, tensor<2x2x6x6xf32>
    return %3 : tensor<2x2x6x6xf32>
  }
}
