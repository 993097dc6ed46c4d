#include "check_cuda.h"

namespace faceaffect {

namespace {

std::string release(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string remedy(cudaError_t status) {
  switch (status) {
    case cudaErrorInsufficientDriver: {
      int driver = 0, runtime = 0;
      cudaDriverGetVersion(&driver);
      cudaRuntimeGetVersion(&runtime);
      if (driver == 0) return "no NVIDIA driver is loaded; install it, or use --device cpu";
      return "the driver knows CUDA " + release(driver) + ", these kernels need " +
             release(runtime) +
             "; update the driver (on a Jetson: JetPack), or build faceaffect with the older CUDA "
             "toolkit";
    }
    case cudaErrorNoDevice:
      return "no NVIDIA GPU is visible to this process; check `nvidia-smi` and "
             "CUDA_VISIBLE_DEVICES";
    case cudaErrorInvalidDevice:
      return "there is no GPU of this number; `faceaffect doctor` lists those there are";
    case cudaErrorMemoryAllocation:
      return "memory is full; close other programs on it, or lower --max-faces";
    case cudaErrorNoKernelImageForDevice:
      return "the kernels were built for sm_" FACEAFFECT_CUDA_ARCHITECTURES
             " and not for this GPU; build faceaffect with FACEAFFECT_CUDA_ARCHS set to its "
             "compute capability";
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorECCUncorrectable:
    case cudaErrorDevicesUnavailable:
    case cudaErrorHardwareStackError:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorAssert:
    case cudaErrorContextIsDestroyed:
      return "the GPU was lost to this process, which has to be started again; `dmesg` and "
             "`nvidia-smi` tell more";
    case cudaErrorInitializationError:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorSystemNotReady:
    case cudaErrorUnknown:
      return "the driver does not work; `nvidia-smi` and `dmesg` tell why; after an update of the "
             "driver restart the machine";
    case cudaErrorInvalidResourceHandle:
      return "a stream, event or graph of another GPU was used; make that GPU the current one "
             "first";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
      return "something that cannot be recorded ran while a graph was captured on this thread; run "
             "it before";
    default:
      return "see the CUDA documentation of this error";
  }
}

}  // namespace

void throw_cuda_error(cudaError_t status, const char* what) {
  // Clears the error: otherwise the check of the next kernel launch would raise it again.
  cudaGetLastError();
  // Checked first: CUDA reports a missing driver as an insufficient one.
  throw CudaError(std::string(what) + ": " + remedy(status) + " (" + cudaGetErrorName(status) +
                  ": " + cudaGetErrorString(status) + ")");
}

void require_device() {
  int devices = 0;
  check_cuda(cudaGetDeviceCount(&devices), "looking for a GPU");
  if (devices == 0) throw_cuda_error(cudaErrorNoDevice, "looking for a GPU");
}

}  // namespace faceaffect
