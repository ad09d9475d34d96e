import { Module, type DynamicModule } from '@nestjs/common';
import { tokens } from '../ports/tokens.ts';

/** The adapters that the composition root chose, under the tokens of their ports. */
@Module({})
export class PortsModule {
  static of(adapters: Partial<Record<keyof typeof tokens, unknown>>): DynamicModule {
    const providers = Object.entries(adapters).map(([port, adapter]) => ({
      provide: tokens[port as keyof typeof tokens],
      useValue: adapter,
    }));
    return { module: PortsModule, providers, exports: providers.map(({ provide }) => provide) };
  }
}
