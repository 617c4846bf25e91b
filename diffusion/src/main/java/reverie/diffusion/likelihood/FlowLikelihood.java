// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import java.lang.invoke.MethodHandles;
import java.util.Arrays;
import java.util.concurrent.CancellationException;
import java.util.function.DoubleConsumer;
import java.util.stream.IntStream;
import org.apache.commons.math3.exception.MaxCountExceededException;
import org.apache.commons.math3.exception.NumberIsTooSmallException;
import org.apache.commons.math3.ode.FirstOrderDifferentialEquations;
import org.apache.commons.math3.ode.nonstiff.DormandPrince853Integrator;
import org.apache.commons.math3.ode.sampling.StepHandler;
import org.apache.commons.math3.ode.sampling.StepInterpolator;
import reverie.autograd.Tape;
import reverie.diffusion.Denoiser;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.MicroBatched;

/**
 * The exact log-likelihood of a diffusion model's probability flow (Song et al. 2021, §4.3 and
 * appendix D): the differential equation that carries images to noise without chance, and the
 * change of volume on the way.
 *
 * <p>With the noise level λ of {@link NoiseLevels} as time the flow is
 *
 * <pre>{@code
 * dx/dλ = √(1−ᾱ)·ε̂(x, t(λ)) − (1−ᾱ)·x
 * log p(x_0) = log N(x_T; 0, I) + ∫ tr(∂(dx/dλ)/∂x) dλ
 * }</pre>
 *
 * from timestep 0 to the last one; of a model that is a flow already, with σ as time, {@code dx/dσ
 * = v̂(x, σ)} from 0 to 1. An image is taken for a sample at timestep 0, whose noise is below what
 * a screen shows. Clipping of x̂0 is a matter of the sampler and plays no part here.
 *
 * <p>The integrator is Dormand and Prince's of order 8 with steps of its own choice; the divergence
 * is a {@link Trace}. Confined to one thread; close it to free the memory of the captured pass.
 */
public final class FlowLikelihood implements AutoCloseable {
  private static final int MAX_EVALUATIONS = 50_000;
  private static final double MIN_STEP = 1e-7;

  private final FlowField field;
  private final Trace trace;
  private final double tolerance;
  private final MicroBatched<Inputs, Derivative> pass;

  /**
   * What one evaluation depends on.
   *
   * @param vectors v of the trace, {@code [n, …]}
   * @param timesteps {@code [n]}
   * @param x {@code [1, …]}
   * @param context {@code [1, tokens, dim]} or null
   */
  private record Inputs(Tensor vectors, Tensor timesteps, Tensor x, Tensor context) {}

  /**
   * What it gives.
   *
   * @param output of the model for x, n times
   * @param forms vᵀJv for every v, {@code [n]}
   */
  private record Derivative(Tensor output, Tensor forms) {}

  /**
   * What came out.
   *
   * @param nats log-likelihoods of the image: one from each probe, all unbiased, whose mean is the
   *     estimate; a single one where the trace is exact
   * @param latent x_T, to which the flow carries the image
   * @param evaluations of the differential equation
   */
  public record Result(double[] nats, double[] latent, int evaluations) {
    /** The mean over the probes. */
    public double mean() {
      return Arrays.stream(nats).average().orElseThrow();
    }
  }

  /**
   * Prepares.
   *
   * @param config the noise that the model was trained with, and what it predicts
   * @param device of the model
   * @param denoiser the model; one that cannot be captured is asked for all vectors of the trace at
   *     once
   * @param trace how to find the divergence
   * @param tolerance of the integrator for an element of the image, relative and absolute, and for
   *     the log-density per element; 1e-4 suits float32
   */
  public FlowLikelihood(
      SchedulerConfig config, Device device, Denoiser denoiser, Trace trace, double tolerance) {
    if (!(tolerance > 0 && tolerance < 1)) {
      throw new ReverieException(
          "likelihood: expected a tolerance between 0 and 1, got " + tolerance);
    }
    field = FlowField.of(config.schedule(), config.prediction());
    this.trace = trace;
    this.tolerance = tolerance;
    pass = new MicroBatched<>(MethodHandles.lookup(), device, in -> differentiate(denoiser, in));
  }

  /**
   * The log-likelihood of an image.
   *
   * @param original one sample, without a batch axis
   * @param context {@code [1, tokens, dim]}, or null for a model without conditions
   * @param progress gets the share of the way that is done
   * @throws ReverieException if the model's output is not finite, or the tolerance cannot be met
   * @throws CancellationException if the thread is interrupted
   */
  public Result of(Tensor original, Tensor context, DoubleConsumer progress) {
    double[] x = original.toDoubles();
    int terms = trace instanceof Trace.Exact ? 1 : trace.vectors(x.length);
    double[] absolute = new double[x.length + terms];
    double[] relative = new double[x.length + terms];
    Arrays.fill(absolute, tolerance);
    Arrays.fill(absolute, x.length, absolute.length, tolerance * x.length);
    Arrays.fill(relative, tolerance);
    double from = field.lowest();
    double to = field.highest();
    var integrator =
        new DormandPrince853Integrator(MIN_STEP * (to - from), to - from, absolute, relative);
    integrator.setMaxEvaluations(MAX_EVALUATIONS);
    integrator.addStepHandler(reporting(progress, from, to));
    double[] state = Arrays.copyOf(x, absolute.length);
    try (Scope _ = Scope.open("likelihood")) {
      integrator.integrate(new Flow(original, context, terms), from, state, to, state);
    } catch (NumberIsTooSmallException | MaxCountExceededException e) {
      throw new ReverieException(
          "likelihood: the integrator cannot keep to a tolerance of "
              + tolerance
              + " ("
              + e.getMessage()
              + ")",
          "allow more, 1e-3 for instance: rounding in the model looks like a rough path",
          e);
    }
    double[] latent = Arrays.copyOf(state, x.length);
    double prior = Arrays.stream(latent).map(v -> -0.5 * (v * v + Math.log(2 * Math.PI))).sum();
    double[] nats =
        Arrays.stream(state, x.length, state.length).map(term -> prior + term).toArray();
    return new Result(nats, latent, integrator.getEvaluations());
  }

  /** The differential equation of an image's elements, followed by its log-densities. */
  private final class Flow implements FirstOrderDifferentialEquations {
    private final int[] dims;
    private final int elements;
    private final int terms;
    private final Tensor context;
    private final Tensor vectors;
    private final Device device;

    Flow(Tensor original, Tensor context, int terms) {
      this.terms = terms;
      this.context = context;
      device = original.device();
      elements = Math.toIntExact(original.size());
      dims = IntStream.concat(IntStream.of(1), Arrays.stream(original.shape().dims())).toArray();
      int[] shape = dims.clone();
      shape[0] = trace.vectors(elements);
      vectors = device.tensor(trace.rows(0, shape[0], elements), shape);
    }

    @Override
    public int getDimension() {
      return elements + terms;
    }

    @Override
    public void computeDerivatives(double level, double[] state, double[] derivative) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the likelihood was interrupted");
      }
      double ofState = field.ofState(level);
      double ofOutput = field.ofOutput(level);
      Arrays.fill(derivative, elements, derivative.length, ofState * elements);
      double timestep = field.timestep(level);
      try (Scope _ = Scope.open("likelihood evaluation")) {
        Tensor x = device.tensor(Arrays.copyOf(state, elements), dims);
        Tensor timesteps = device.full(timestep, vectors.dim(0));
        Derivative out = pass.run(new Inputs(vectors, timesteps, x, context));
        double[] output = out.output.slice(0, 0, 1).toDoubles();
        for (int i = 0; i < elements; i++) {
          derivative[i] = ofState * state[i] + ofOutput * output[i];
        }
        double[] forms = out.forms.toDoubles();
        for (int i = 0; i < forms.length; i++) {
          derivative[elements + (terms == 1 ? 0 : i)] += ofOutput * forms[i];
        }
      }
      requireFinite(derivative, timestep);
    }
  }

  /** One pass forth and back. */
  private static Derivative differentiate(Denoiser denoiser, Inputs in) {
    int n = in.vectors.dim(0);
    Tensor repeated = repeated(in.x, n);
    Tensor contexts = in.context == null ? null : repeated(in.context, n);
    Tensor[] output = new Tensor[1];
    Tensor product =
        Tape.pullback(
            () -> {
              output[0] = denoiser.predict(repeated, in.timesteps, contexts);
              return output.clone();
            },
            new Tensor[] {repeated},
            new Tensor[] {in.vectors})[0];
    Tensor forms =
        product == null
            ? in.x.device().zeros(n)
            : product.mul(in.vectors).reshape(n, Math.toIntExact(in.x.size())).sum(1);
    return new Derivative(output[0], forms);
  }

  private static Tensor repeated(Tensor one, int n) {
    int[] dims = one.shape().dims();
    dims[0] = n;
    return one.expand(dims).contiguous();
  }

  private static void requireFinite(double[] derivative, double timestep) {
    for (double value : derivative) {
      if (!Double.isFinite(value)) {
        throw new ReverieException(
            "likelihood: the model or its derivative gives " + value + " at timestep " + timestep,
            "its weights are damaged or its training diverged; use another model");
      }
    }
  }

  private static StepHandler reporting(DoubleConsumer progress, double from, double to) {
    return new StepHandler() {
      @Override
      public void init(double start, double[] state, double end) {}

      @Override
      public void handleStep(StepInterpolator step, boolean last) {
        progress.accept((step.getCurrentTime() - from) / (to - from));
      }
    };
  }

  @Override
  public void close() {
    pass.close();
  }
}
