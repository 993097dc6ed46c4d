# Builds the graph layer as a TensorRT plugin in a separate library: -DFACEAFFECT_TENSORRT_PLUGIN=ON, and TENSORRT_ROOT
# if TensorRT is not in a system folder. A missing dependency is reported and disables this library only.
set(TENSORRT_ROOT "" CACHE PATH "Folder with TensorRT's include/ and lib/")

function(faceaffect_not_built reason)
  message(WARNING "faceaffect: TensorRT plugin not built: ${reason}")
endfunction()

if(NOT TARGET faceaffect_au_gcn_cuda)
  faceaffect_not_built("it needs the CUDA kernels (FACEAFFECT_CUDA and a working nvcc)")
  return()
endif()
find_path(TENSORRT_INCLUDE NvInferRuntime.h HINTS ${TENSORRT_ROOT} PATH_SUFFIXES include)
find_library(TENSORRT_LIBRARY NAMES nvinfer nvinfer_11 nvinfer_10 HINTS ${TENSORRT_ROOT} PATH_SUFFIXES lib lib64)
if(NOT TENSORRT_INCLUDE)
  faceaffect_not_built("NvInferRuntime.h was not found; install libnvinfer-headers-dev or set TENSORRT_ROOT")
  return()
endif()
if(NOT TENSORRT_LIBRARY)
  faceaffect_not_built("libnvinfer was not found; install libnvinfer-dev or set TENSORRT_ROOT")
  return()
endif()

add_library(faceaffect_tensorrt_plugin SHARED
            csrc/check_cuda.cpp csrc/tensorrt_plugin/au_gcn_creator.cpp csrc/tensorrt_plugin/au_gcn_plugin.cpp
            csrc/tensorrt_plugin/graph_weights.cpp csrc/tensorrt_plugin/register.cpp
            $<TARGET_OBJECTS:faceaffect_au_gcn_cuda>)
target_compile_options(faceaffect_tensorrt_plugin PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${WARNINGS}>)
target_compile_definitions(faceaffect_tensorrt_plugin PRIVATE FACEAFFECT_CUDA_ARCHITECTURES="${ARCHITECTURE_LIST}")
target_include_directories(faceaffect_tensorrt_plugin SYSTEM PRIVATE ${TENSORRT_INCLUDE})
target_link_libraries(faceaffect_tensorrt_plugin PRIVATE CUDA::cudart_static ${TENSORRT_LIBRARY})
message(STATUS "faceaffect: TensorRT plugin is built with ${TENSORRT_INCLUDE}")
