// RelaxedCapture: allows calls that a graph capture of this thread forbids, such as cudaFree of a
// buffer that the garbage collector drops meanwhile, without ending the capture.
#pragma once

#include <cuda_runtime_api.h>

namespace faceaffect {

class RelaxedCapture {
 public:
  RelaxedCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~RelaxedCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ =
      cudaStreamCaptureModeRelaxed;  // after the exchange: the former mode
};

}  // namespace faceaffect
