// Devices and error texts of the stand-in runtime.
//
// FACEAFFECT_STANDIN_DEVICES: number of GPUs (1). FACEAFFECT_STANDIN_INTEGRATED: 1 for a GPU that
// shares the host's memory, as on a Jetson.
#include "runtime.h"

using namespace standin;

namespace {

constexpr int kMultiprocessors = 8, kMajor = 8, kMinor = 7, kCudaVersion = 13000;

bool has_device(int index) { return index >= 0 && index < setting("DEVICES", 1); }

cudaError_t no_such_device() { return failed(cudaErrorInvalidDevice); }

}  // namespace

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  *version = kCudaVersion;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kCudaVersion;
  return cudaSuccess;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define NAMED(name) \
  case name:        \
    return #name;
    NAMED(cudaSuccess)
    NAMED(cudaErrorInvalidValue)
    NAMED(cudaErrorMemoryAllocation)
    NAMED(cudaErrorInvalidConfiguration)
    NAMED(cudaErrorInvalidDevice)
    NAMED(cudaErrorInvalidResourceHandle)
    NAMED(cudaErrorNotReady)
    NAMED(cudaErrorIllegalAddress)
    NAMED(cudaErrorMisalignedAddress)
    NAMED(cudaErrorLaunchFailure)
    NAMED(cudaErrorStreamCaptureUnsupported)
    NAMED(cudaErrorStreamCaptureInvalidated)
#undef NAMED
    default:
      break;
  }
  static thread_local char text[40];
  snprintf(text, sizeof text, "cudaError %d", static_cast<int>(error));
  return text;
}

const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

cudaError_t cudaGetLastError() {
  const int error = g_sticky != 0 ? g_sticky.load() : t_last_error;
  t_last_error = g_sticky;
  return static_cast<cudaError_t>(error);
}

cudaError_t cudaGetDeviceCount(int* count) {
  ENTER(cudaGetDeviceCount);
  *count = setting("DEVICES", 1);
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* index) {
  ENTER(cudaGetDevice);
  *index = t_device;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int index) {
  ENTER(cudaSetDevice);
  if (!has_device(index)) return no_such_device();
  t_device = index;
  return cudaSuccess;
}

cudaError_t cudaSetDeviceFlags(unsigned) {
  ENTER(cudaSetDeviceFlags);
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index) {
  ENTER(cudaGetDeviceProperties);
  if (!has_device(index)) return no_such_device();
  *properties = {};
  snprintf(properties->name, sizeof properties->name, "Orin");
  properties->major = kMajor;
  properties->minor = kMinor;
  properties->integrated = setting("INTEGRATED", 0);
  properties->multiProcessorCount = kMultiprocessors;
  return cudaSuccess;
}

}  // extern "C"
