namespace FunLik

/// Figures of how chains come to agree.
[<RequireQualifiedAccess>]
module ConvergenceFigure =

    /// R_c over a run, and below it the pooled and the within-chain standard deviation, which meet as chains agree.
    let scaleReduction (parameter: string) (unit: string) (curve: ScaleReductionCurve) : Figure =
        let draws = curve.Draws |> Array.map float

        {
            Title = $"Agreement of chains in {parameter}"
            X = Axis.linear "draws of each chain" ""
            IsTurned = false
            Panels =
                [
                    {
                        Axis = Axis.linear "R_c" ""
                        Share = 1.0
                        Series = [ Series.create Mark.Line Colour.Blue "R_c" draws curve.Rc ]
                    }
                    {
                        Axis = Axis.linear "standard deviation" unit
                        Share = 1.0
                        Series =
                            [
                                Series.create Mark.Line Colour.Vermilion "pooled" draws curve.Pooled
                                Series.create
                                    Mark.Dashes
                                    Colour.Green
                                    "within chains"
                                    draws
                                    curve.Within
                            ]
                    }
                ]
            Caption =
                "Brooks and Gelman's corrected scale reduction of what is left of the draws up to each point when their first part is thrown away. "
                + "Where chains agree it is 1, and both standard deviations are that of the density."
        }
