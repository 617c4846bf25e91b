# SPDX-License-Identifier: Apache-2.0
"""Writes flow_chains.safetensors: chains of flows in float64, from the formulas of the public code.

The sigmas are those of diffusers' FlowMatchEulerDiscreteScheduler, the steps those of Flow-GRPO (flow_sde), DanceGRPO
(dance_sde), Flow-CPS (cps) and Euler's (ode), each written as it is there. Log-probabilities are means over the elements of
Gaussian log-densities for all of them, and NaN where a step is no decision.

    python3 flow_chains.py
"""

import json
import math
import struct

import numpy as np

SAMPLES = (2, 3, 2, 2)


def diffusers_sigmas(steps, train_steps, shift, mu):
    if mu is not None:
        # Pipelines with dynamic shifting hand these over; exponential time shift.
        sigmas = np.linspace(1.0, 1 / steps, steps)
        return math.exp(mu) / (math.exp(mu) + (1 / sigmas - 1))
    trained = np.linspace(1, train_steps, train_steps)[::-1] / train_steps
    trained = shift * trained / (1 + (shift - 1) * trained)
    sigmas = np.linspace(trained[0] * train_steps, trained[-1] * train_steps, steps) / train_steps
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def step(noise, level, x, v, sigma, following, second):
    """Mean, deviation, and the derivative of the mean by v."""
    dt = following - sigma
    if noise == "ode":
        return x + dt * v, 0.0, dt
    if noise == "flow_sde":
        std_dev_t = math.sqrt(sigma / (1 - (second if sigma == 1 else sigma))) * level
        by_x = 1 + std_dev_t**2 / (2 * sigma) * dt
        by_v = (1 + std_dev_t**2 * (1 - sigma) / (2 * sigma)) * dt
        return x * by_x + v * by_v, std_dev_t * math.sqrt(-dt), by_v
    if noise == "dance_sde":
        clean = x - sigma * v
        score = -(x - clean * (1 - sigma)) / sigma**2
        mean = x + dt * v - 0.5 * level**2 * score * dt
        return mean, level * math.sqrt(-dt), dt + 0.5 * level**2 * dt * (1 - sigma) / sigma
    std = following * math.sin(level * math.pi / 2)
    clean = x - sigma * v
    noised = x + (1 - sigma) * v
    rest = math.sqrt(following**2 - std**2)
    return clean * (1 - following) + noised * rest, std, -sigma * (1 - following) + (1 - sigma) * rest


def chain(case, config):
    random = np.random.default_rng(case["id"])
    steps = case["steps"]
    train_steps = config["num_train_timesteps"]
    mu = None
    if config.get("use_dynamic_shifting"):
        slope = (config["max_shift"] - config["base_shift"]) / (
            config["max_image_seq_len"] - config["base_image_seq_len"])
        mu = config["base_shift"] + slope * (case["tokens"] - config["base_image_seq_len"])
    sigmas = diffusers_sigmas(steps, train_steps, config["shift"], mu)
    states = [random.standard_normal(SAMPLES)]
    outputs, noises, log_probs, gradients = [], [], [], []
    for i in range(steps):
        x = states[-1]
        following = sigmas[i + 1] if i + 1 < steps else 0.0
        v = np.sin(3 * x + sigmas[i]) + 0.3 * x
        z = random.standard_normal(SAMPLES)
        # No noise enters the step that ends at the clean sample.
        noise = case["noise"] if i + 1 < steps else "ode"
        mean, deviation, by_v = step(noise, case["level"], x, v, sigmas[i], following, sigmas[1])
        after = mean + deviation * z
        if deviation > 0:
            density = (-((after - mean) ** 2) / (2 * deviation**2) - math.log(deviation)
                       - math.log(math.sqrt(2 * math.pi)))
            log_probs.append(density.mean(axis=(1, 2, 3)))
            gradients.append((after - mean) / deviation**2 * by_v / density[0].size)
        else:
            log_probs.append(np.full(SAMPLES[0], np.nan))
            gradients.append(np.full(SAMPLES, np.nan))
        states.append(after)
        outputs.append(v)
        noises.append(z)
    return {
        "timesteps": sigmas * train_steps,
        "x": np.stack(states),
        "model_output": np.stack(outputs),
        "noise": np.stack(noises),
        "log_prob_mean": np.stack(log_probs),
        "grad_model_output": np.stack(gradients),
    }


def write(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, values in tensors.items():
        raw = np.ascontiguousarray(values, dtype="<f8").tobytes()
        header[name] = {"dtype": "F64", "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def main():
    plain = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 1.0}
    moved = plain | {"shift": 3.0}
    dynamic = plain | {
        "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15,
        "base_image_seq_len": 256, "max_image_seq_len": 4096, "time_shift_type": "exponential",
    }
    cases, tensors = [], {}
    for config, steps in ((plain, 4), (moved, 10), (dynamic, 6)):
        for noise, level in (("flow_sde", 0.7), ("dance_sde", 0.3), ("cps", 0.7), ("ode", 0.0)):
            case = {"id": len(cases), "scheduler": config, "steps": steps, "noise": noise, "level": level}
            if config is dynamic:
                case["tokens"] = 1024
            cases.append(case)
            tensors |= {f"case{case['id']}.{name}": values for name, values in chain(case, config).items()}
    write("flow_chains.safetensors", tensors, {"cases": json.dumps(cases)})


if __name__ == "__main__":
    main()
